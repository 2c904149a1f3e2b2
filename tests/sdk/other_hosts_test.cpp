// The C++ layer in hosts of other minor versions: their structs are shorter or longer than its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tenon/sdk.hpp>

#include <cstddef>
#include <cstring>
#include <vector>

namespace {

// Gives input 1 where an adapter has rows, else input 0.
struct Teller : tenon::Layer<Teller> {
  static constexpr tenon::layer_type kType{
      .id = "test.teller", .method = "test", .base = "torch.nn.Linear", .flags = TENON_LAYER_ROWS};
  static void add_adapter(Setup&) {}
  static Outputs forward(Call& call) { return call.input(call.adapter(0).rows() ? 1 : 0); }
};

// Handles are addresses of these; nothing here looks into a tensor.
struct FakeTensor {
  int owners = 0;
};
FakeTensor* fake(tenon_tensor handle) { return reinterpret_cast<FakeTensor*>(handle); }
tenon_tensor handle_of(FakeTensor& tensor) { return reinterpret_cast<tenon_tensor>(&tensor); }

tenon_status retain(tenon_tensor borrowed, tenon_tensor* owned, tenon_error*) {
  ++fake(borrowed)->owners;
  *owned = borrowed;
  return TENON_OK;
}
void release(tenon_tensor owned) { --fake(owned)->owners; }
const void* no_extension(const char*) { return nullptr; }

// A host whose tenon_adapter ends after `adapter_bytes`; what lies behind is not the plugin's to
// read.
class OtherHost {
 public:
  explicit OtherHost(std::uint32_t minor, std::size_t adapter_bytes)
      : adapter_(adapter_bytes + 64) {
    table_.struct_size = sizeof table_;
    table_.abi_minor = minor;
    table_.extension = no_extension;
    table_.retain = retain;
    table_.release = release;
    std::memset(adapter_.data(), 0xDB, adapter_.size());
    tenon_adapter known{};
    known.struct_size = static_cast<std::uint32_t>(adapter_bytes);
    known.name = "default";
    known.rows = handle_of(rows_);
    std::memcpy(adapter_.data(), &known, std::min(adapter_bytes, sizeof known));
    EXPECT_EQ(tenon::detail::remember_host(nullptr, &table_, nullptr), TENON_OK);
  }

  // The input that the layer gave back.
  int forward() {
    const tenon_layer_type table = tenon::detail::make_table<Teller>();
    const auto* adapter = reinterpret_cast<const tenon_adapter*>(adapter_.data());
    const tenon_tensor inputs[] = {handle_of(inputs_[0]), handle_of(inputs_[1])};
    const tenon_base base{};
    tenon_call call{};
    call.struct_size = sizeof call;
    call.inputs = inputs;
    call.n_inputs = 2;
    call.adapters = &adapter;
    call.n_adapters = 1;
    call.n_outputs = 1;
    tenon_tensor output = nullptr;
    EXPECT_EQ(table.forward(&table, &table_, &base, &call, &output, nullptr), TENON_OK);
    EXPECT_EQ(inputs_[0].owners + inputs_[1].owners, 1);
    return output == inputs[1] ? 1 : 0;
  }

 private:
  tenon_host table_{};
  FakeTensor inputs_[2];
  FakeTensor rows_;
  std::vector<std::byte> adapter_;
};

TEST(OtherHosts, OfThisVersionGivesRows) {
  EXPECT_EQ(OtherHost(TENON_ABI_MINOR, sizeof(tenon_adapter)).forward(), 1);
}

TEST(OtherHosts, OneMinorNewerHasMoreFieldsAndServesAsWell) {
  EXPECT_EQ(OtherHost(TENON_ABI_MINOR + 1, sizeof(tenon_adapter) + 24).forward(), 1);
}

}  // namespace
