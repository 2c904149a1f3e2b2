// Of libcrypto what every OpenSSL since 1.1.1 has (EVP_PKEY-ED25519(7), EVP_DigestSign(3)),
// declared here since its headers need not be installed where Tenon is built.
#include "base/ed25519.h"

#include <dlfcn.h>
#include <sys/random.h>

#include <cerrno>
#include <cstddef>

#include "base/error.h"

namespace tenon {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr int kEd25519 = 1087;  // EVP_PKEY_ED25519

using Byte = unsigned char;

Error crypto_failure(const std::string& message, const std::string& hint = "") {
  return Error({.stage = Stage::kPlugins, .message = message, .hint = hint});
}

struct Crypto {
  void* (*new_raw_public_key)(int type, void* engine, const Byte* key, std::size_t size);
  void* (*new_raw_private_key)(int type, void* engine, const Byte* key, std::size_t size);
  int (*get_raw_public_key)(const void* key, Byte* out, std::size_t* size);
  void (*free_key)(void* key);
  void* (*new_context)();
  void (*free_context)(void* context);
  int (*start_verify)(void* context, void** key_context, const void* type, void* engine, void* key);
  int (*verify)(void* context, const Byte* signature, std::size_t signature_size,
                const Byte* message, std::size_t size);
  int (*start_sign)(void* context, void** key_context, const void* type, void* engine, void* key);
  int (*sign)(void* context, Byte* signature, std::size_t* signature_size, const Byte* message,
              std::size_t size);
};

template <typename Function>
void take_function(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out == nullptr) {
    throw crypto_failure(std::string("libcrypto has no ") + name,
                         "signatures need OpenSSL 1.1.1 or newer");
  }
}

Crypto load_crypto() {
  void* library = nullptr;
  for (const char* name : {"libcrypto.so.3", "libcrypto.so.1.1"}) {
    if (library == nullptr) library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) {
    throw crypto_failure("signatures of plugin indexes need OpenSSL's libcrypto, which is not here",
                         "type: apt-get install libssl3");
  }
  Crypto crypto{};
  take_function(library, "EVP_PKEY_new_raw_public_key", crypto.new_raw_public_key);
  take_function(library, "EVP_PKEY_new_raw_private_key", crypto.new_raw_private_key);
  take_function(library, "EVP_PKEY_get_raw_public_key", crypto.get_raw_public_key);
  take_function(library, "EVP_PKEY_free", crypto.free_key);
  take_function(library, "EVP_MD_CTX_new", crypto.new_context);
  take_function(library, "EVP_MD_CTX_free", crypto.free_context);
  take_function(library, "EVP_DigestVerifyInit", crypto.start_verify);
  take_function(library, "EVP_DigestVerify", crypto.verify);
  take_function(library, "EVP_DigestSignInit", crypto.start_sign);
  take_function(library, "EVP_DigestSign", crypto.sign);
  return crypto;
}

const Crypto& crypto_library() {
  static const Crypto crypto = load_crypto();  // never unloaded: it has exit handlers of its own
  return crypto;
}

const Byte* bytes_of(std::string_view text) { return reinterpret_cast<const Byte*>(text.data()); }

// A key, and what works with it.
class KeyInUse {
 public:
  KeyInUse(const Crypto& crypto, void* key)
      : crypto_(crypto), key_(key), context_(crypto.new_context()) {
    if (key_ != nullptr && context_ != nullptr) return;
    release();
    throw crypto_failure("libcrypto refuses an Ed25519 key");
  }
  ~KeyInUse() { release(); }
  KeyInUse(const KeyInUse&) = delete;
  KeyInUse& operator=(const KeyInUse&) = delete;

  void* key() const { return key_; }
  void* context() const { return context_; }

 private:
  void release() {
    crypto_.free_context(context_);
    crypto_.free_key(key_);
  }

  const Crypto& crypto_;
  void* key_;
  void* context_;
};

void require_size(std::string_view key) {
  if (key.size() != kKeyBytes) throw crypto_failure("an Ed25519 key has 32 bytes");
}

void* private_key(const Crypto& crypto, std::string_view secret) {
  require_size(secret);
  return crypto.new_raw_private_key(kEd25519, nullptr, bytes_of(secret), secret.size());
}

}  // namespace

bool is_signed_by(std::string_view public_key, std::string_view message,
                  std::string_view signature) {
  require_size(public_key);
  if (signature.size() != kSignatureBytes) return false;
  const Crypto& crypto = crypto_library();
  const KeyInUse use(crypto, crypto.new_raw_public_key(kEd25519, nullptr, bytes_of(public_key),
                                                       public_key.size()));
  return crypto.start_verify(use.context(), nullptr, nullptr, nullptr, use.key()) == 1 &&
         crypto.verify(use.context(), bytes_of(signature), signature.size(), bytes_of(message),
                       message.size()) == 1;
}

std::string public_key_of(std::string_view secret) {
  const Crypto& crypto = crypto_library();
  const KeyInUse use(crypto, private_key(crypto, secret));
  std::string key(kKeyBytes, '\0');
  std::size_t size = key.size();
  if (crypto.get_raw_public_key(use.key(), reinterpret_cast<Byte*>(key.data()), &size) != 1 ||
      size != kKeyBytes) {
    throw crypto_failure("libcrypto cannot tell a public key");
  }
  return key;
}

std::string sign(std::string_view secret, std::string_view message) {
  const Crypto& crypto = crypto_library();
  const KeyInUse use(crypto, private_key(crypto, secret));
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  if (crypto.start_sign(use.context(), nullptr, nullptr, nullptr, use.key()) != 1 ||
      crypto.sign(use.context(), reinterpret_cast<Byte*>(signature.data()), &size,
                  bytes_of(message), message.size()) != 1 ||
      size != kSignatureBytes) {
    throw crypto_failure("libcrypto cannot sign");
  }
  return signature;
}

std::string new_secret() {
  std::string secret(kKeyBytes, '\0');
  ssize_t count = 0;
  do {
    count = ::getrandom(secret.data(), secret.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count != static_cast<ssize_t>(secret.size())) {
    throw crypto_failure("the system gives no random numbers");
  }
  return secret;
}

}  // namespace tenon
