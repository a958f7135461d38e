#include "grapes/testing/device.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#if __has_include(<ATen/detail/PrivateUse1HooksInterface.h>)
#include <ATen/detail/PrivateUse1HooksInterface.h>
#define GRAPES_DEVICE_HOOKS
#endif

#include <atomic>
#include <utility>
#include <vector>

namespace grapes::testing {
namespace {

const c10::Device here(c10::DeviceType::PrivateUse1, 0);
std::atomic<long> operations = 0;

/// One stream, on which every operation is done immediately. LibTorch's own NoOpDeviceGuardImpl refuses events, which
/// autograd of LibTorch 2.13 records on every device.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  static c10::Stream only() { return c10::Stream(c10::Stream::DEFAULT, here); }
  c10::DeviceType type() const override { return here.type(); }
  c10::Device exchangeDevice(c10::Device) const override { return here; }
  c10::Device getDevice() const override { return here; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return only(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return only(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

#ifdef GRAPES_DEVICE_HOOKS
/// LibTorch 2 asks for these. Without `override`, because 2.6 does not ask for all.
struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const { return true; }                            // NOLINT(modernize-use-override)
  bool isAvailable() const { return true; }                        // NOLINT(modernize-use-override)
  bool hasPrimaryContext(c10::DeviceIndex) const { return true; }  // NOLINT(modernize-use-override)
};
void register_hooks() {
  static Hooks hooks;
  at::RegisterPrivateUse1HooksInterface(&hooks);
  c10::register_privateuse1_backend("mirrored");  // else autograd of LibTorch 2.13 ignores the hooks
}
#else
void register_hooks() {}
#endif

/// The same memory as a tensor of another device.
at::Tensor as_if(const at::Tensor& x, c10::DispatchKey key, c10::Device device) {
  const auto free = [](void* storage) { delete static_cast<c10::Storage*>(storage); };
  auto* const kept = new c10::Storage(x.storage());
  c10::DataPtr memory(const_cast<void*>(static_cast<const void*>(kept->data())), kept, free, device);
  at::Tensor other =
      at::detail::make_tensor<c10::TensorImpl>(c10::Storage(c10::Storage::use_byte_size_t(), kept->nbytes(),
                                                            std::move(memory), c10::GetAllocator(at::kCPU), true),
                                               key, x.dtype());
  other.unsafeGetTensorImpl()->set_sizes_and_strides(x.sizes(), x.strides());
  other.unsafeGetTensorImpl()->set_storage_offset(x.storage_offset());
  return other;
}

/// Any operation: converts its arguments to CPU tensors, runs it, and converts its results to tensors of the device.
class Operation {
 public:
  explicit Operation(const c10::OperatorHandle& handle)
      : handle_(handle), copies_(handle.schema().name() == "aten::_copy_from") {}

  void run(torch::jit::Stack* stack) {
    ++operations;
    const auto first = stack->end() - static_cast<long>(handle_.schema().arguments().size());
    for (auto value = first; value != stack->end(); ++value) *value = to_cpu(*value);
    call(stack, static_cast<std::size_t>(first - stack->begin()));
    const auto results = stack->end() - static_cast<long>(handle_.schema().returns().size());
    for (auto value = results; value != stack->end(); ++value) *value = from_cpu(*value);
  }

 private:
  /// @param first  index of the first argument
  void call(torch::jit::Stack* stack, std::size_t first) {
    const std::string& name = handle_.schema().name();
    const auto other = [&](const char* of_cpu) {
      c10::Dispatcher::singleton().findSchemaOrThrow(of_cpu, "").callBoxed(stack);
    };
    // Operations that LibTorch calls by special names on devices of other vendors.
    if (copies_) {
      const at::Tensor from = (*stack)[first].toTensor();
      (*stack)[first] = (*stack)[first + 1].toTensor().copy_(from);
      stack->resize(first + 1);
    } else if (name == "aten::convolution_overrideable") {
      other("aten::convolution");
    } else if (name == "aten::convolution_backward_overrideable") {
      stack->insert(stack->begin() + static_cast<long>(first) + 3, c10::IValue());  // sizes of the bias
      other("aten::convolution_backward");
    } else {
      handle_.callBoxed(stack);
    }
  }
  at::Tensor to_cpu(const at::Tensor& x) {
    if (!x.defined()) return x;
    if (x.device() != here) {
      TORCH_CHECK(copies_ || x.dim() == 0, handle_.schema().name(), ": a tensor is on ", x.device(), ", another on ",
                  here);
      return x;
    }
    at::Tensor cpu = as_if(x, c10::DispatchKey::CPU, at::kCPU);
    pairs_.emplace_back(cpu, x);
    return cpu;
  }
  at::Tensor from_cpu(const at::Tensor& x) const {
    if (!x.defined()) return x;
    for (const auto& [cpu, original] : pairs_)
      if (cpu.is_same(x)) {  // written in place, in other memory if it was resized
        if (cpu.storage().data() != original.storage().data() || cpu.sizes() != original.sizes()) {
          c10::TensorImpl* const it = original.unsafeGetTensorImpl();
          it->set_storage_keep_dtype(as_if(cpu, c10::DispatchKey::PrivateUse1, here).storage());
          it->set_sizes_and_strides(cpu.sizes(), cpu.strides());
        }
        return original;
      }
    return as_if(x, c10::DispatchKey::PrivateUse1, here);
  }
  c10::IValue to_cpu(const c10::IValue& value) {
    if (value.isTensor()) return to_cpu(value.toTensor());
    if (value.isDevice()) return c10::Device(at::kCPU);
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& x : value.toTensorVector()) list.push_back(to_cpu(x));
      return list;
    }
    if (value.isOptionalTensorList()) {
      auto list = value.toOptionalTensorList().copy();
      for (std::size_t i = 0; i < list.size(); ++i)
        if (const auto x = list.get(i); x.has_value()) list.set(i, to_cpu(*x));
      return list;
    }
    return value;
  }
  c10::IValue from_cpu(const c10::IValue& value) const {
    if (value.isTensor()) return from_cpu(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor& x : value.toTensorVector()) list.push_back(from_cpu(x));
    return list;
  }

  const c10::OperatorHandle& handle_;
  bool copies_;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;
};

void any(const c10::OperatorHandle& handle, torch::jit::Stack* stack) { Operation(handle).run(stack); }

}  // namespace

std::string other_device() {
  const auto key = c10::DispatchKey::PrivateUse1;
  static torch::Library all(torch::Library::IMPL, "_", key, __FILE__, __LINE__);
  static torch::Library some(torch::Library::IMPL, "aten", key, __FILE__, __LINE__);
  static const bool known = [] {
    const auto operation = [] { return torch::CppFunction::makeFromBoxedFunction<&any>(); };
    register_hooks();
    all.fallback(operation());
    for (const char* name : {"convolution_overrideable", "convolution_backward_overrideable"})
      some.impl(name, operation());  // otherwise the default, which throws
    return true;
  }();
  static_cast<void>(known);
  return here.str();
}

long operations_there() { return operations; }

}  // namespace grapes::testing
