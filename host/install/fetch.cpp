// Of libcurl what every 7.x and 8.x has (curl_easy_setopt(3)), declared here since its headers need
// not be installed where Tenon is built.
#include "install/fetch.h"

#include <dlfcn.h>

#include <array>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace tenon {
namespace {

// CURLOPT_...; of 20000 and more are functions, of 10000 and more pointers, else a long.
enum CurlOption : int {
  kErrorBuffer = 10010,
  kFailOnError = 45,
  kFollowLocation = 52,
  kLowSpeedLimit = 19,
  kLowSpeedTime = 20,
  kMaxRedirects = 68,
  kConnectTimeout = 78,
  kNoSignal = 99,
  kProtocols = 181,
  kRedirectedProtocols = 182,
  kUrl = 10002,
  kUserAgent = 10018,
  kWriteData = 10001,
  kWriteFunction = 20011,
};
constexpr long kHttp = 1;   // CURLPROTO_HTTP
constexpr long kHttps = 2;  // CURLPROTO_HTTPS
constexpr std::size_t kErrorBytes = 256;

struct Curl {
  void* (*open)();
  int (*set)(void* handle, int option, ...);
  int (*perform)(void* handle);
  void (*close)(void* handle);
  const char* (*text)(int code);
};

[[noreturn]] void fail_fetch(const std::string& url, const std::string& why,
                             const std::string& hint = "") {
  throw Error({.stage = Stage::kPlugins,
               .message = "it cannot be fetched: " + why,
               .hint = hint,
               .location = url});
}

template <typename Function>
void take_symbol(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out == nullptr) {
    throw Error({.stage = Stage::kPlugins, .message = std::string("libcurl has no ") + name});
  }
}

Curl load_curl(const std::string& url) {
  void* library = nullptr;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    if (library == nullptr) library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) {
    fail_fetch(url, "that needs libcurl, which is not here",
               "type: apt-get install libcurl4; or download the files and give the folder");
  }
  Curl curl{};
  take_symbol(library, "curl_easy_init", curl.open);
  take_symbol(library, "curl_easy_setopt", curl.set);
  take_symbol(library, "curl_easy_perform", curl.perform);
  take_symbol(library, "curl_easy_cleanup", curl.close);
  take_symbol(library, "curl_easy_strerror", curl.text);
  return curl;
}

struct Received {
  std::string bytes;
  std::size_t most = 0;
  bool too_much = false;
};

std::size_t receive(const char* data, std::size_t size, std::size_t count, void* to) {
  auto& received = *static_cast<Received*>(to);
  received.too_much = received.most - received.bytes.size() < size * count;
  if (received.too_much) return 0;  // which ends the transfer
  received.bytes.append(data, size * count);
  return size * count;
}

std::string fetch_by_curl(const std::string& url, std::size_t most) {
  static const Curl curl = load_curl(url);  // never unloaded: threads of its own may run
  Received received{{}, most};
  std::array<char, kErrorBytes> error{};
  void* handle = curl.open();
  if (handle == nullptr) fail_fetch(url, "libcurl does not start");
  // A redirection leads to no file and no other protocol.
  curl.set(handle, kUrl, url.c_str());
  curl.set(handle, kProtocols, kHttp | kHttps);
  curl.set(handle, kRedirectedProtocols, kHttp | kHttps);
  curl.set(handle, kFollowLocation, 1L);
  curl.set(handle, kMaxRedirects, 5L);
  curl.set(handle, kFailOnError, 1L);
  curl.set(handle, kConnectTimeout, 30L);
  curl.set(handle, kLowSpeedLimit, 100L);  // bytes in a second
  curl.set(handle, kLowSpeedTime, 30L);
  curl.set(handle, kNoSignal, 1L);
  curl.set(handle, kUserAgent, "tenon");
  curl.set(handle, kErrorBuffer, error.data());
  curl.set(handle, kWriteFunction, &receive);
  curl.set(handle, kWriteData, &received);
  const int code = curl.perform(handle);
  curl.close(handle);
  if (received.too_much) {
    fail_fetch(url, "it has more than the " + std::to_string(most) + " bytes that it may");
  }
  if (code != 0) fail_fetch(url, error[0] != '\0' ? error.data() : curl.text(code));
  return std::move(received.bytes);
}

// "%C3%B6" in a file's address.
std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string digits = text.substr(i + 1 < text.size() ? i + 1 : i, 2);
    if (text[i] == '%' && digits.size() == 2 &&
        digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos) {
      out += static_cast<char>(std::stoi(digits, nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string fetch(const std::string& url, std::size_t most) {
  const std::string file_scheme = "file://";
  if (!url.starts_with(file_scheme)) return fetch_by_curl(url, most);
  const std::string path = unescaped(url.substr(file_scheme.size()));
  if (!path.starts_with('/')) {
    fail_fetch(url, "a file's address is file:// and a path that starts with /");
  }
  return read_text_file(path, Stage::kPlugins, most);
}

}  // namespace tenon
