#include "adapter/tenon_json.h"

#include <cmath>
#include <limits>

#include "support/error_matchers.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;

constexpr const char* kText = R"({
  "format": 2,
  "base": "crc32-sha256:00ff",
  "sha256": {
    "adapter_config.json": "c0",
    "adapter_model.safetensors": "7e"
  },
  "layers": [
    {
      "name": "seq.0",
      "type": "torch.nn.Linear",
      "plugin": "tenon.lora_linear",
      "version": "0.1.0",
      "sha256": "abcd",
      "options": {
        "gate": true,
        "kernel": [
          3,
          5
        ],
        "mode": "fast",
        "scales": [
          0.5,
          2.0
        ],
        "steps": 7,
        "temperature": 1.0
      }
    }
  ]
}
)";

RecordedLayer layer() {
  return {.name = "seq.0",
          .type = "torch.nn.Linear",
          .plugin = "tenon.lora_linear",
          .version = "0.1.0",
          .sha256 = "abcd",
          .options = {{"gate", true},
                      {"kernel", std::vector<std::int64_t>{3, 5}},
                      {"mode", std::string("fast")},
                      {"scales", std::vector<double>{0.5, 2.0}},
                      {"steps", std::int64_t{7}},
                      {"temperature", 1.0}}};
}

TEST(TenonJsonTest, TextHasEveryKeyInItsOrder) {
  EXPECT_EQ(write_tenon_json({.base_fingerprint = "crc32-sha256:00ff",
                              .config_sha256 = "c0",
                              .tensors_sha256 = "7e",
                              .layers = {layer()}}),
            kText);
}

TEST(TenonJsonTest, ReadingGivesBackWhatWasWritten) {
  const TenonRecord record = read_tenon_json(kText, "tenon.json");
  EXPECT_EQ(record.base_fingerprint, "crc32-sha256:00ff");
  EXPECT_EQ(record.config_sha256, "c0");
  EXPECT_EQ(record.tensors_sha256, "7e");
  ASSERT_EQ(record.layers.size(), 1);
  EXPECT_EQ(record.layers[0].name, "seq.0");
  EXPECT_EQ(record.layers[0].type, "torch.nn.Linear");
  EXPECT_EQ(record.layers[0].plugin, "tenon.lora_linear");
  EXPECT_EQ(record.layers[0].version, "0.1.0");
  EXPECT_EQ(record.layers[0].sha256, "abcd");
  EXPECT_EQ(record.layers[0].options, layer().options);
}

TEST(TenonJsonTest, NumbersThatJsonLacksAreKept) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  RecordedLayer special = layer();
  special.options = {{"all", std::vector<double>{1.5, -kInfinity}},
                     {"limit", kInfinity},
                     {"none", std::numeric_limits<double>::quiet_NaN()}};
  const TenonRecord record =
      read_tenon_json(write_tenon_json({.base_fingerprint = "", .layers = {special}}), "x");
  const OptionTable& options = record.layers.at(0).options;
  EXPECT_EQ(options.at("all"), special.options.at("all"));
  EXPECT_EQ(options.at("limit"), special.options.at("limit"));
  EXPECT_TRUE(std::isnan(std::get<double>(options.at("none"))));
}

TEST(TenonJsonTest, FormatOneHasNoHashesOfTheFiles) {
  const TenonRecord record =
      read_tenon_json(R"({"format": 1, "base": "b", "layers": []})", "tenon.json");
  EXPECT_EQ(record.base_fingerprint, "b");
  EXPECT_EQ(record.config_sha256, "");
  EXPECT_EQ(record.tensors_sha256, "");
}

TEST(TenonJsonTest, NewerFormatAsksForANewerTenon) {
  const std::string text =
      error_text([] { read_tenon_json(R"({"format": 3, "magic": []})", "a/tenon.json"); });
  EXPECT_EQ(text, "a/tenon.json: its format is 3, this tenon reads format 2\n  update tenon");
}

TEST(TenonJsonTest, AllProblemsAreReportedAtOnce) {
  const std::string text = error_text([] {
    read_tenon_json(
        R"({"format":1,"layers":[7,{"name":"a","type":3,"plugin":"p","version":"1","sha256":"",
            "options":{"x":{"a":[["z"]]},"y":[["z"]],"w":{"float":"big"}}},
            {"name":"a","type":"t","plugin":"p","sha256":"","options":[],"rank":1}],"extra":1})",
        "tenon.json");
  });
  EXPECT_THAT(text, HasSubstr("tenon.json: the record of the adapter is damaged:"));
  EXPECT_THAT(text, HasSubstr("`base` is missing"));
  EXPECT_THAT(text, HasSubstr("`extra` is unknown"));
  EXPECT_THAT(text, HasSubstr("`layers[0]` must be a table, it is 7"));
  EXPECT_THAT(text, HasSubstr("`layers[1].type` must be a string, it is 3"));
  EXPECT_THAT(text, HasSubstr("`layers[1].options.x` must be true or false, a number, a string or "
                              "a list of one of them, it is {\"a\":[[\"z\"]]}"));
  EXPECT_THAT(text, HasSubstr("`layers[1].options.y` must be"));
  EXPECT_THAT(text, HasSubstr("`layers[1].options.w` must be"));
  EXPECT_THAT(text, HasSubstr("`layers[2].version` is missing"));
  EXPECT_THAT(text, HasSubstr("`layers[2].rank` is unknown"));
  EXPECT_THAT(text, HasSubstr("`layers[2].options` must be a table, it is []"));
  EXPECT_THAT(text, HasSubstr("`layers[2]` is a second layer named `a`"));
}

struct BadRecord {
  const char* name;
  const char* text;
  const char* expected;
};

class BadRecordTest : public ::testing::TestWithParam<BadRecord> {};

TEST_P(BadRecordTest, IsRejectedWithFileAndReason) {
  const std::string text = error_text([] { read_tenon_json(GetParam().text, "a/tenon.json"); });
  EXPECT_THAT(text, HasSubstr("a/tenon.json: "));
  EXPECT_THAT(text, HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Records, BadRecordTest,
    ::testing::Values(
        BadRecord{"NotJson", "{", "the file is not valid JSON"},
        BadRecord{"NotATable", "[1]", "it has no `format` number"},
        BadRecord{"NoFormat", R"({"base":"","layers":[]})", "it has no `format` number"},
        BadRecord{"FormatIsText", R"({"format":"1"})", "it has no `format` number"},
        BadRecord{"FormatIsFloat", R"({"format":1.0})", "it has no `format` number"},
        BadRecord{"FormatTooLow", R"({"format":0})", "its format is 0, this tenon reads format 2"},
        BadRecord{"KeyTwice", R"({"format":1,"base":"","base":""})", "gives `base` twice"},
        BadRecord{"BaseIsNull", R"({"format":1,"base":null,"layers":[]})",
                  "`base` must be a string, it is null"},
        BadRecord{"HashesAreMissing", R"({"format":2,"base":"","layers":[]})",
                  "`sha256` is missing"},
        BadRecord{"HashesAreText", R"({"format":2,"base":"","layers":[],"sha256":"ab"})",
                  "`sha256` must be a table, it is \"ab\""},
        BadRecord{"HashIsNumber",
                  R"({"format":2,"base":"","layers":[],"sha256":{"adapter_config.json":1}})",
                  "`sha256.adapter_config.json` must be a string, it is 1"},
        BadRecord{"LayersIsTable", R"({"format":1,"base":"","layers":{}})",
                  "`layers` must be a list, it is {}"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tenon
