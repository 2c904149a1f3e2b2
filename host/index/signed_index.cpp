#include "index/signed_index.h"

#include "base/base64.h"
#include "base/ed25519.h"
#include "base/printable.h"
#include "index/index_json.h"

namespace tenon {
namespace {

constexpr const char* kKeyKind = "ed25519:";
constexpr int kIndexFormat = 1;
constexpr std::size_t kMostKeyQuoted = 80;

Failure index_failure(const std::string& where) {
  return {.stage = Stage::kPlugins,
          .message = "the index of plugins",
          .hint = "it was made by `tenon plugin index`; ask its owner for a sound one",
          .location = where};
}

[[noreturn]] void fail_index(Failure failure, const std::string& problem) {
  failure.message += " " + problem;
  throw Error(failure);
}

std::string signed_bytes(const Json& index) { return "tenon-plugin-index\n" + index.dump(); }

const Json& part_of(const Json& json, const char* name, const Failure& context) {
  const auto part = json.find(name);
  if (part == json.end()) fail_index(context, std::string("has no `") + name + "`");
  return *part;
}

std::string text_of_part(const Json& json, const char* name, const Failure& context) {
  const Json& part = part_of(json, name, context);
  if (!part.is_string()) fail_index(context, std::string("has no text `") + name + "`");
  return part.get<std::string>();
}

Json read_envelope(std::string_view text, const Failure& context) {
  if (text.size() > kMostIndexBytes) fail_index(context, "is too large");
  Json json = parse_json(text, context);
  if (!json.is_object()) fail_index(context, "is no table");
  const Json& format = part_of(json, "format", context);
  if (format != Json(kIndexFormat)) {
    Failure other = context;
    other.hint = "update Tenon";
    fail_index(other,
               "is of format " + json_excerpt(OrderedJson(format)) + ", this Tenon reads format 1");
  }
  return json;
}

}  // namespace

SignedIndex read_signed_index(std::string_view text, const std::string& where) {
  const Failure context = index_failure(where);
  const Json json = read_envelope(text, context);
  const std::string key = text_of_part(json, "key", context);
  const auto signature = from_base64(text_of_part(json, "signature", context));
  const Json& index = part_of(json, "index", context);
  if (!signature ||
      !is_signed_by(key_bytes(key, Stage::kPlugins), signed_bytes(index), *signature)) {
    Failure tampered = context;
    tampered.hint =
        "nothing of it is used; ask its owner, who signs it anew by `tenon plugin index`";
    fail_index(tampered, "is not what " + key + " signed: it was changed since");
  }
  return {key, read_index(index, context), std::string(text)};
}

SignedIndex read_known_index(std::string_view text, const std::string& where) {
  const Failure context = index_failure(where);
  const Json json = read_envelope(text, context);
  return {text_of_part(json, "key", context), read_index(part_of(json, "index", context), context),
          std::string(text)};
}

std::string signed_text(const PluginIndex& index, std::string_view secret) {
  const Json body = index_json(index);
  const OrderedJson json{{"format", kIndexFormat},
                         {"key", key_text(public_key_of(secret))},
                         {"signature", to_base64(sign(secret, signed_bytes(body)))},
                         {"index", OrderedJson(body)}};
  return json.dump(2) + "\n";
}

std::string key_text(std::string_view public_key) { return kKeyKind + to_base64(public_key); }

std::string key_bytes(const std::string& text, Stage stage) {
  if (text.starts_with(kKeyKind)) {
    const auto bytes =
        from_base64(std::string_view(text).substr(std::string_view(kKeyKind).size()));
    if (bytes && bytes->size() == 32) return *bytes;
  }
  throw Error({.stage = stage,
               .message = "`" + printable_excerpt(text, kMostKeyQuoted) + "` is no key",
               .hint = "a key is ed25519: and 44 characters; whoever signs an index publishes it"});
}

}  // namespace tenon
