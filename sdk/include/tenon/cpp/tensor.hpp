// Tensors for plugin authors: handles that own or borrow.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "tenon/host.h"

// Hidden as a whole, so that two plugins built with two SDKs never share one of these definitions.
namespace tenon __attribute__((visibility("hidden"))) {

  // Thrown by everything in this layer, caught at the fence in fence.hpp. Throw it yourself to
  // refuse something: `throw tenon::Failure(TENON_UNSUPPORTED, "groups > 1 cannot be adapted")`.
  class Failure : public std::exception {
   public:
    Failure(tenon_status status, std::string text) : status_(status), text_(std::move(text)) {}
    tenon_status status() const { return status_; }
    const char* what() const noexcept override { return text_.c_str(); }

   private:
    tenon_status status_;
    std::string text_;
  };

  namespace detail {

  // The host's table, set once before any other function of the plugin runs.
  inline const tenon_host* host = nullptr;

  // Where a host function failed, its text stays in this sink; `check` throws so that the fence can
  // return the status with the text already in place.
  inline thread_local tenon_error* error_sink = nullptr;

  // A host function has failed and has filled the sink.
  struct HostFailure {
    tenon_status status;
  };

  inline void check(tenon_status status) {
    if (status != TENON_OK) throw HostFailure{status};
  }

  }  // namespace detail

  using Shape = std::vector<std::int64_t>;

  // A tensor. Those that the host lends for a call are borrowed; copying one gives a handle of its
  // own, so a copy may be kept until the call returns, and results may be returned.
  class Tensor {
   public:
    Tensor() = default;
    static Tensor owned(tenon_tensor handle) { return Tensor(handle, true); }
    static Tensor borrowed(tenon_tensor handle) { return Tensor(handle, false); }

    Tensor(const Tensor& other) : handle_(other.retained()), owned_(handle_ != nullptr) {}
    Tensor(Tensor&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)),
          owned_(std::exchange(other.owned_, false)) {}
    Tensor& operator=(Tensor other) noexcept {
      std::swap(handle_, other.handle_);
      std::swap(owned_, other.owned_);
      return *this;
    }
    ~Tensor() {
      if (owned_) detail::host->release(handle_);
    }

    explicit operator bool() const { return handle_ != nullptr; }
    tenon_tensor handle() const { return handle_; }
    // An owned handle that the caller must give away or release; this tensor is empty afterwards.
    tenon_tensor give() && {
      const tenon_tensor handle = owned_ ? handle_ : retained();
      handle_ = nullptr;
      owned_ = false;
      return handle;
    }

    tenon_tensor_info info() const {
      tenon_tensor_info out{};
      out.struct_size = sizeof out;
      detail::check(detail::host->describe(handle_, &out, detail::error_sink));
      return out;
    }
    Shape shape() const {
      const tenon_tensor_info facts = info();
      return Shape(facts.shape, facts.shape + facts.ndim);
    }
    std::int64_t size(std::int64_t dimension) const {
      const tenon_tensor_info facts = info();
      return facts.shape[dimension < 0 ? dimension + facts.ndim : dimension];
    }
    tenon_dtype dtype() const { return info().dtype; }
    bool requires_grad() const { return info().requires_grad != 0; }

   private:
    Tensor(tenon_tensor handle, bool owned) : handle_(handle), owned_(owned) {}
    tenon_tensor retained() const {
      tenon_tensor out = nullptr;
      if (handle_) detail::check(detail::host->retain(handle_, &out, detail::error_sink));
      return out;
    }

    tenon_tensor handle_ = nullptr;
    bool owned_ = false;
  };

}  // namespace tenon
