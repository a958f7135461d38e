#pragma once

#include <verilated.h>
#include <verilated_vcd_c.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

/// A verilated module and its clock. In each cycle: set the inputs, call `settle` to update the outputs, read what is
/// transferred, then call `tick`.
template <class Model>
class Clocked final {
 public:
  /// All registers and inputs start with random bits, as on a chip. Then the module is reset.
  /// @param trace  file for the waves of a model that supports them; or empty
  explicit Clocked(int seed, const std::string& trace = "") {
    context_.randReset(2);
    context_.randSeed(seed);
    context_.traceEverOn(!trace.empty());
    model_ = std::make_unique<Model>(&context_, "top");
    if constexpr (requires { model_->trace(waves_.get(), 99); }) {
      if (!trace.empty()) {
        waves_ = std::make_unique<VerilatedVcdC>();
        model_->trace(waves_.get(), 99);
        waves_->open(trace.c_str());
      }
    }
    model_->rst = 1;
    tick();
    model_->rst = 0;
  }
  ~Clocked() {
    if (waves_) waves_->close();
    model_->final();
  }
  Clocked(const Clocked&) = delete;
  Clocked& operator=(const Clocked&) = delete;

  Model* operator->() { return model_.get(); }

  void settle() {
    model_->clk = 0;
    model_->eval();
  }

  /// The rising edge; the falling edge comes with the next settle. A cycle takes ten time units of the trace.
  void tick() {
    settle();
    if (waves_) waves_->dump(10 * cycle_);
    model_->clk = 1;
    model_->eval();
    if (waves_) waves_->dump(10 * cycle_ + 5);
    if (++cycle_ > most_cycles) throw std::runtime_error("a module under simulation does not come to an end");
  }

  std::uint64_t cycle() const { return cycle_; }

 private:
  static constexpr std::uint64_t most_cycles = 10'000'000;  // a handshake that takes longer is an error
  VerilatedContext context_;
  std::unique_ptr<VerilatedVcdC> waves_;  // must outlive the model, which writes to it
  std::unique_ptr<Model> model_;
  std::uint64_t cycle_ = 0;
};

/// Returns field number `index` of a port with fields of `bits` bits (at most 32), the first lowest. Verilator
/// represents a port as an unsigned integer, or above 64 bits as an array of 32-bit words.
template <class Port>
void put(Port& port, int index, int bits, std::int64_t value) {
  for (int bit = 0; bit < bits; ++bit) {
    const int at = index * bits + bit;
    const bool one = (value >> bit & 1) != 0;
    if constexpr (std::is_integral_v<Port>) {
      const Port mask = static_cast<Port>(Port{1} << at);
      port = static_cast<Port>(one ? port | mask : port & ~mask);
    } else {
      const std::uint32_t mask = 1u << at % 32;
      port[at / 32] = one ? port[at / 32] | mask : port[at / 32] & ~mask;
    }
  }
}

/// The same field in two's complement.
template <class Port>
std::int32_t get(const Port& port, int index, int bits) {
  std::int64_t value = 0;
  for (int bit = 0; bit < bits; ++bit) {
    const int at = index * bits + bit;
    std::int64_t one = 0;
    if constexpr (std::is_integral_v<Port>)
      one = static_cast<std::int64_t>(std::uint64_t{port} >> at & 1);
    else
      one = port[at / 32] >> at % 32 & 1;
    value += bit == bits - 1 ? -(one << bit) : one << bit;
  }
  return static_cast<std::int32_t>(value);
}
