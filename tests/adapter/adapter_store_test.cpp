#include "adapter/adapter_store.h"

#include <ATen/ATen.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "base/file.h"
#include "base/safetensors.h"
#include "faults/faults.h"
#include "model/tensor_file.h"
#include "support/error_matchers.h"
#include "support/temp_dir.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::TempDir;
using ::testing::UnorderedElementsAre;

std::int64_t rank_of(const AdapterConfig& config) {
  return std::get<std::int64_t>(config.method_keys.at("r"));
}

AdapterFiles small_adapter() {
  AdapterFiles files;
  files.config.target_modules = std::vector<std::string>{"seq.0"};
  files.config.modules_to_save = {"seq.4"};
  files.config.peft_type = "LORA";
  files.config.method_keys["r"] = std::int64_t{2};
  files.base_model_class = "MLP";
  files.parent_library = "models";
  files.tensors = {{"seq.0.lora_A.weight", at::arange(6, at::kFloat).reshape({2, 3})},
                   {"seq.0.lora_B.weight", at::ones({4, 2})},
                   {"seq.4.weight", at::full({2, 4}, 3.0)}};
  files.base_fingerprint = "crc32-sha256:00";
  files.layers = {{.name = "seq.0",
                   .type = "torch.nn.Linear",
                   .plugin = "tenon.lora_linear",
                   .version = "0.1.0",
                   .sha256 = "abc",
                   .options = {{"gate", true}}}};
  return files;
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(AdapterStoreTest, RoundTripKeepsConfigTensorsAndRecord) {
  const TempDir folder;
  save_adapter(folder / "out/adapter", small_adapter(), false);
  const AdapterFiles loaded = load_adapter(folder / "out/adapter");
  EXPECT_EQ(loaded.config.target_modules, small_adapter().config.target_modules);
  EXPECT_EQ(rank_of(loaded.config), 2);
  EXPECT_EQ(loaded.base_model_class, "MLP");
  EXPECT_EQ(loaded.parent_library, "models");
  ASSERT_EQ(loaded.tensors.size(), 3);
  EXPECT_EQ(loaded.tensors[0].key, "seq.0.lora_A.weight");
  EXPECT_TRUE(at::equal(loaded.tensors[0].tensor, small_adapter().tensors[0].tensor));
  EXPECT_TRUE(loaded.has_tenon_json);
  EXPECT_EQ(loaded.base_fingerprint, "crc32-sha256:00");
  ASSERT_EQ(loaded.layers.size(), 1);
  EXPECT_EQ(loaded.layers[0].plugin, "tenon.lora_linear");
  EXPECT_EQ(loaded.layers[0].options, small_adapter().layers[0].options);
}

TEST(AdapterStoreTest, FolderHoldsThreeFilesWithPeftsNames) {
  const TempDir folder;
  save_adapter(folder / "adapter", small_adapter(), false);
  EXPECT_THAT(
      names_in(folder / "adapter"),
      UnorderedElementsAre("adapter_config.json", "adapter_model.safetensors", "tenon.json"));
  const SafetensorsFile file(folder / "adapter/adapter_model.safetensors", Stage::kAdapter);
  EXPECT_NE(file.find("base_model.model.seq.0.lora_A.weight"), nullptr);
  EXPECT_NE(file.find("base_model.model.seq.4.weight"), nullptr);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
}

TEST(AdapterStoreTest, PeftsFolderWithoutRecordIsLoaded) {
  const TempDir folder;
  save_adapter(folder / "adapter", small_adapter(), false);
  std::filesystem::remove(folder / "adapter/tenon.json");
  const AdapterFiles loaded = load_adapter(folder / "adapter");
  EXPECT_FALSE(loaded.has_tenon_json);
  EXPECT_EQ(loaded.base_fingerprint, "");
  EXPECT_EQ(loaded.tensors.size(), 3);
}

TEST(AdapterStoreTest, ConfigAloneNeedsNoTensors) {
  const TempDir folder;
  folder.write("adapter_config.json", R"({"peft_type":"LORA","r":3})");
  EXPECT_EQ(rank_of(load_adapter_config(folder.path())), 3);
}

TEST(AdapterStoreTest, OccupiedFolderIsRefusedAndUntouched) {
  const TempDir folder;
  folder.write("notes.txt", "mine");
  const std::string text = error_text([&] { save_adapter(folder.path(), small_adapter(), false); });
  EXPECT_THAT(text, HasSubstr(folder.path().string() +
                              ": the adapter cannot be saved here: the folder is not empty"));
  EXPECT_THAT(text, HasSubstr("`force = true`"));
  EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("notes.txt"));
}

TEST(AdapterStoreTest, ForceReplacesTheAdapterAndKeepsForeignFiles) {
  const TempDir folder;
  save_adapter(folder.path(), small_adapter(), false);
  folder.write("notes.txt", "mine");
  AdapterFiles second = small_adapter();
  second.config.method_keys["r"] = std::int64_t{5};
  second.tensors.pop_back();
  save_adapter(folder.path(), second, true);
  EXPECT_EQ(rank_of(load_adapter(folder.path()).config), 5);
  EXPECT_EQ(load_adapter(folder.path()).tensors.size(), 2);
  EXPECT_EQ(read_text_file(folder / "notes.txt", Stage::kAdapter), "mine");
}

TEST(AdapterStoreTest, LoadedAdapterMayBeSavedOverItself) {
  const TempDir folder;
  save_adapter(folder.path(), small_adapter(), false);
  const AdapterFiles loaded = load_adapter(folder.path());
  save_adapter(folder.path(), loaded, true);
  EXPECT_TRUE(at::equal(load_adapter(folder.path()).tensors[2].tensor, at::full({2, 4}, 3.0)));
}

TEST(AdapterStoreTest, EmptyFolderAndFreshPathAreFree) {
  const TempDir folder;
  EXPECT_NO_THROW(check_output_folder(folder.path(), false));
  EXPECT_NO_THROW(check_output_folder(folder / "a/b/c", false));
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
}

TEST(AdapterStoreTest, PathThroughAFileIsRefusedBeforeTraining) {
  const TempDir folder;
  const auto file = folder.write("file", "x");
  for (const auto& path : {file, file / "adapter"}) {
    EXPECT_THAT(error_text([&] { check_output_folder(path, true); }),
                HasSubstr(file.string() + ": the adapter cannot be saved here: this is not a "
                                          "folder"));
  }
}

TEST(AdapterStoreTest, FailedWriteLeavesTheOldAdapterWhole) {
  const TempDir folder;
  save_adapter(folder.path(), small_adapter(), false);
  AdapterFiles large = small_adapter();
  large.config.method_keys["r"] = std::int64_t{7};
  large.tensors[0].tensor = at::zeros({1 << 16});

  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small_limit{.rlim_cur = 4096, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small_limit), 0);
  const std::string text = error_text([&] { save_adapter(folder.path(), large, true); });
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_THAT(text, HasSubstr("adapter_model.safetensors"));
  EXPECT_EQ(rank_of(load_adapter(folder.path()).config), 2);
  EXPECT_EQ(names_in(folder.path()).size(), 3);
}

TEST(AdapterStoreTest, MissingConfigIsReportedInPeftsWords) {
  const TempDir folder;
  for (const auto& path : {folder.path(), folder / "nowhere"}) {
    EXPECT_THAT(error_text([&] { load_adapter(path); }),
                HasSubstr("Can't find 'adapter_config.json' at '" + path.string() + "'"));
  }
  save_adapter(folder / "second", small_adapter(), false);
  EXPECT_THAT(error_text([&] { load_adapter_config(folder.path()); }),
              HasSubstr("there are adapters in " + (folder / "second").string()));
}

TEST(AdapterStoreTest, PickledTensorsAreRefusedWithTheReason) {
  const TempDir folder;
  folder.write("adapter_config.json", R"({"peft_type":"LORA"})");
  EXPECT_THAT(error_text([&] { load_adapter(folder.path()); }),
              HasSubstr("Can't find 'adapter_model.safetensors' at"));
  folder.write("adapter_model.bin", "pickle");
  const std::string text = error_text([&] { load_adapter(folder.path()); });
  EXPECT_THAT(text, HasSubstr("adapter_model.bin, a Python pickle, which can run code"));
  EXPECT_THAT(text, HasSubstr("load it with PEFT and save it again"));
}

TEST(AdapterStoreTest, TensorsWithoutPeftsPrefixAreAllNamed) {
  const TempDir folder;
  save_adapter(folder.path(), small_adapter(), false);
  write_tensor_file(folder / "adapter_model.safetensors",
                    {{"seq.0.lora_A.weight", at::ones({2, 3})}, {"x", at::ones({1})}});
  const std::string text = error_text([&] { load_adapter(folder.path()); });
  EXPECT_THAT(text, HasSubstr("these tensors do not start with PEFT's `base_model.model.`:\n"
                              "  seq.0.lora_A.weight\n  x"));
}

TEST(AdapterStoreTest, TruncatedTensorsAreRefused) {
  const TempDir folder;
  save_adapter(folder.path(), small_adapter(), false);
  const auto file = folder / "adapter_model.safetensors";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  EXPECT_THAT(error_text([&] { load_adapter(folder.path()); }),
              HasSubstr(file.string() + ": not a valid safetensors file: tensor"));
}

// An adapter of rank `r`, its tensors filled with it.
AdapterFiles adapter_of_rank(std::int64_t r) {
  AdapterFiles files = small_adapter();
  files.config.method_keys["r"] = r;
  files.tensors[0].tensor = at::full({r, 3}, static_cast<double>(r));
  files.tensors[1].tensor = at::full({4, r}, static_cast<double>(r));
  return files;
}

// The rank, if all of the adapter says the same.
std::int64_t rank_of_whole(const std::filesystem::path& folder) {
  const AdapterFiles files = load_adapter(folder);
  const std::int64_t r = rank_of(files.config);
  EXPECT_EQ(files.tensors[0].tensor.size(0), r);
  EXPECT_TRUE(at::equal(files.tensors[0].tensor, at::full({r, 3}, static_cast<double>(r))));
  return r;
}

TEST(AdapterStoreTest, FilesOfTwoAdaptersAreToldApart) {
  const TempDir folder;
  save_adapter(folder / "a", adapter_of_rank(2), false);
  save_adapter(folder / "b", adapter_of_rank(4), false);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
    const TempDir mixed;
    std::filesystem::copy(folder / "a", mixed / "m");
    std::filesystem::copy_file(folder / "b" / name, mixed / "m" / name,
                               std::filesystem::copy_options::overwrite_existing);
    const std::string text = error_text([&] { load_adapter(mixed / "m"); });
    EXPECT_THAT(text, HasSubstr((mixed / "m").string() + ": " + name +
                                " is not the file that tenon.json was saved with"));
    EXPECT_THAT(text, HasSubstr("the folder holds files of two adapters"));
    std::filesystem::remove(mixed / "m/tenon.json");  // as the hint says
    EXPECT_NO_THROW(load_adapter(mixed / "m"));
  }
  std::filesystem::copy_file(folder / "b/adapter_config.json", folder / "a/adapter_config.json",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(error_text([&] { load_adapter_config(folder / "a"); }),
              HasSubstr("is not the file that tenon.json was saved with"));
}

TEST(AdapterStoreTest, FolderOfFormatOneIsReadWithoutHashes) {
  const TempDir folder;
  save_adapter(folder.path(), adapter_of_rank(2), false);
  folder.write("tenon.json", R"({"format": 1, "base": "crc32-sha256:00", "layers": []})");
  EXPECT_EQ(load_adapter(folder.path()).base_fingerprint, "crc32-sha256:00");
}

TEST(AdapterStoreTest, ReaderOfAFolderThatIsSavedToSeesOnlyWholeAdapters) {
  for (const int flags : {0, static_cast<int>(FAULT_NO_EXCHANGE)}) {
    const TempDir folder;
    save_adapter(folder / "adapter", adapter_of_rank(2), false);
    const pid_t child = ::fork();
    if (child == 0) {
      fault_arm(folder.path().c_str(), 0, 0, FAULT_NO_SYNC | flags);
      for (int i = 0; i < 1000; ++i)
        save_adapter(folder / "adapter", adapter_of_rank(2 + i % 3), true);
      ::_exit(0);
    }
    std::set<std::int64_t> seen;
    int looks = 0;
    for (int status = 0; ::waitpid(child, &status, WNOHANG) == 0; ++looks) {
      ASSERT_NO_THROW(seen.insert(rank_of_whole(folder / "adapter")));
    }
    EXPECT_THAT(seen, UnorderedElementsAre(2, 3, 4));
    EXPECT_GT(looks, 100);
  }
}

TEST(AdapterStoreTest, KilledSavesLeaveOneAdapterOrTheOther) {
  for (const int flags : {0, static_cast<int>(FAULT_NO_EXCHANGE)}) {
    const TempDir folder;
    save_adapter(folder / "adapter", adapter_of_rank(2), false);
    for (int i = 0; i < 100; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        fault_arm(folder.path().c_str(), 0, 0, FAULT_NO_SYNC | flags);
        for (int k = 0;; ++k) save_adapter(folder / "adapter", adapter_of_rank(2 + k % 3), true);
      }
      ::usleep(static_cast<useconds_t>(500 + 37 * i));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      ASSERT_NO_THROW(rank_of_whole(folder / "adapter"));
    }
    save_adapter(folder / "adapter", adapter_of_rank(5), true);
    EXPECT_EQ(rank_of_whole(folder / "adapter"), 5);
    EXPECT_THAT(names_in(folder.path()), UnorderedElementsAre("adapter"));
    EXPECT_EQ(names_in(folder / "adapter").size(), 3);
  }
}

TEST(AdapterStoreTest, SecondSaverIsRefusedByTheOthersNumber) {
  const TempDir folder;
  const auto mine = reserve_adapter_folder(folder / "adapter", false);
  EXPECT_THAT(error_text([&] { save_adapter(folder / "adapter", small_adapter(), true); }),
              HasSubstr("process " + std::to_string(::getpid()) + " is writing to this folder"));
  mine->write(adapter_folder_files(small_adapter()));
  EXPECT_EQ(rank_of(load_adapter(folder / "adapter").config), 2);
}

TEST(AdapterStoreTest, PlaceOfAFileThatIsNoRegularFileIsRefused) {
  const TempDir folder;
  std::filesystem::create_directories(folder / "adapter/tenon.json/inside");
  EXPECT_THAT(
      error_text([&] { save_adapter(folder / "adapter", small_adapter(), true); }),
      HasSubstr("tenon.json: the adapter cannot be saved here: this is not a regular file"));
}

}  // namespace
}  // namespace tenon
