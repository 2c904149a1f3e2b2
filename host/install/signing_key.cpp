// PEM of RFC 8410: a fixed head in DER, then the 32 bytes.
#include "install/signing_key.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "base/base64.h"
#include "base/ed25519.h"
#include "base/error.h"
#include "base/file.h"
#include "base/output_file.h"
#include "index/signed_index.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostKeyBytes = 4096;

using namespace std::string_view_literals;
constexpr auto kPrivateHead = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"sv;
constexpr auto kPublicHead = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"sv;

std::string pem_of(const std::string& what, std::string_view head, std::string_view key) {
  return "-----BEGIN " + what + "-----\n" + to_base64(std::string(head).append(key)) +
         "\n-----END " + what + "-----\n";
}

// The 32 bytes behind the head; nullopt for another PEM, or none.
std::optional<std::string> key_in_pem(std::string text, const std::string& what,
                                      std::string_view head) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  const std::string begin = "-----BEGIN " + what + "-----";
  const std::size_t start = text.find(begin);
  const std::size_t end = text.find("-----END " + what + "-----");
  if (start == std::string::npos || end == std::string::npos || end < start) return std::nullopt;
  const auto der =
      from_base64(std::string_view(text).substr(start + begin.size(), end - start - begin.size()));
  if (!der || der->size() != head.size() + 32 || !der->starts_with(head)) return std::nullopt;
  return der->substr(head.size());
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.pop_back();
  }
  return text;
}

}  // namespace

std::optional<std::string> read_signing_key(const fs::path& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0 && errno == ENOENT) return std::nullopt;
  const auto fail = [&](const std::string& message, const std::string& hint) {
    throw Error(
        {.stage = Stage::kPlugins, .message = message, .hint = hint, .location = file.string()});
  };
  const std::string text = read_text_file(file, Stage::kPlugins, kMostKeyBytes);
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    fail("the key that signs can be read by others", "type: chmod 600 '" + file.string() + "'");
  }
  auto key = key_in_pem(text, "PRIVATE KEY", kPrivateHead);
  if (!key) {
    fail(
        "it is no private key of Ed25519 in PEM",
        "make one: openssl genpkey -algorithm ed25519 -out FILE; or name a file that is not there");
  }
  return key;
}

std::string make_signing_key(const fs::path& file) {
  const std::string secret = new_secret();
  OutputFile out(file, Existing::kRefused);
  out.keep_private();
  out.write(pem_of("PRIVATE KEY", kPrivateHead, secret));
  out.finish();
  out.publish();
  return secret;
}

std::string read_public_key(const std::string& given) {
  if (given.starts_with("ed25519:")) {
    key_bytes(given, Stage::kCommandLine);
    return given;
  }
  std::error_code failed;
  if (!fs::is_regular_file(given, failed))
    key_bytes(given, Stage::kCommandLine);  // says what one is
  const std::string text = read_text_file(given, Stage::kCommandLine, kMostKeyBytes);
  if (const auto key = key_in_pem(text, "PUBLIC KEY", kPublicHead)) return key_text(*key);
  key_bytes(trimmed(text), Stage::kCommandLine);
  return trimmed(text);
}

}  // namespace tenon
