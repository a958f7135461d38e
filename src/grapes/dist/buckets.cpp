#include "grapes/dist/buckets.h"

#include "grapes/base/stopwatch.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <utility>

namespace grapes::dist {

struct Buckets::State {
  struct Bucket {
    std::vector<std::size_t> parameters;
    at::Tensor flat;
    std::size_t waiting = 0;  // gradients that are not ready
    Wait wait;
  };
  Group& group;
  std::vector<at::Tensor> parameters;
  /// Nodes of the graph, owned as each LibTorch does. They live as long as their hooks are needed.
  std::vector<decltype(torch::autograd::impl::grad_accumulator({}))> accumulators;
  std::vector<std::size_t> bucket_of;
  std::vector<bool> ready;
  std::vector<Bucket> buckets;
  std::size_t sent = 0;  // buckets
  bool active = false;   // between begin() and finish(), with overlap
  at::Tensor numbers;
  Wait wait_for_numbers;
  double waited = 0;

  explicit State(Group& of) : group(of) {}
  void became_ready(std::size_t i);
  void send(Bucket& bucket);
};

namespace {

struct Ready final : torch::autograd::FunctionPostHook {
  std::function<void()> tell;
  explicit Ready(std::function<void()> what) : tell(std::move(what)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    tell();
    return outputs;
  }
};

}  // namespace

void Buckets::State::became_ready(std::size_t i) {
  if (!active) return;
  TORCH_INTERNAL_ASSERT(!ready[i], "a gradient changed after it was sent: parameter ", i);
  ready[i] = true;
  --buckets[bucket_of[i]].waiting;
  while (sent < buckets.size() && buckets[sent].waiting == 0) send(buckets[sent++]);
}

void Buckets::State::send(Bucket& bucket) {
  const at::NoGradGuard no_grad;
  std::int64_t place = 0;
  for (const std::size_t i : bucket.parameters) {
    const at::Tensor& parameter = parameters[i];
    const at::Tensor part = bucket.flat.narrow(0, place, parameter.numel()).view(parameter.sizes());
    if (parameter.grad().defined())
      part.copy_(parameter.grad());
    else
      part.zero_();
    place += parameter.numel();
  }
  bucket.wait = group.start_sum(bucket.flat);
}

Buckets::Buckets(Group& group, std::vector<at::Tensor> parameters, std::int64_t bytes)
    : state_(std::make_shared<State>(group)) {
  State& state = *state_;
  state.parameters = std::move(parameters);
  const std::size_t count = state.parameters.size();
  state.bucket_of.resize(count);
  state.ready.resize(count);
  std::int64_t size = bytes;
  for (std::size_t i = count; i-- > 0;) {
    const at::Tensor& parameter = state.parameters[i];
    const auto own = static_cast<std::int64_t>(parameter.nbytes());
    const bool fits = !state.buckets.empty() && size + own <= bytes &&
                      state.parameters[state.buckets.back().parameters[0]].scalar_type() == parameter.scalar_type();
    if (!fits) {
      state.buckets.emplace_back();
      size = 0;
    }
    size += own;
    state.buckets.back().parameters.push_back(i);
    state.bucket_of[i] = state.buckets.size() - 1;
    state.accumulators.push_back(torch::autograd::impl::grad_accumulator(parameter));
    state.accumulators.back()->add_post_hook(std::make_unique<Ready>([weak = std::weak_ptr<State>(state_), i] {
      if (const auto alive = weak.lock()) alive->became_ready(i);
    }));
  }
  for (State::Bucket& bucket : state.buckets) {
    std::int64_t numel = 0;
    for (const std::size_t i : bucket.parameters) numel += state.parameters[i].numel();
    bucket.flat = at::empty({numel}, state.parameters[bucket.parameters[0]].options().requires_grad(false));
  }
}

Buckets::~Buckets() = default;

void Buckets::begin(const std::vector<double>& numbers, bool overlap) {
  State& state = *state_;
  state.numbers = at::tensor(numbers, at::kDouble);
  state.wait_for_numbers = state.group.start_sum(state.numbers);
  state.ready.assign(state.parameters.size(), false);
  for (State::Bucket& bucket : state.buckets) bucket.waiting = bucket.parameters.size();
  state.sent = 0;
  state.active = overlap;
}

std::vector<double> Buckets::finish() {
  State& state = *state_;
  state.active = false;
  while (state.sent < state.buckets.size()) state.send(state.buckets[state.sent++]);
  const Stopwatch watch;
  state.wait_for_numbers();
  for (State::Bucket& bucket : state.buckets) bucket.wait();
  state.waited += watch.seconds();
  for (const State::Bucket& bucket : state.buckets) {
    std::int64_t place = 0;
    for (const std::size_t i : bucket.parameters) {
      const at::Tensor& parameter = state.parameters[i];
      parameter.mutable_grad() = bucket.flat.narrow(0, place, parameter.numel()).view(parameter.sizes());
      place += parameter.numel();
    }
  }
  const auto* data = state.numbers.data_ptr<double>();
  return {data, data + state.numbers.numel()};
}

double Buckets::waited() const { return state_->waited; }
std::size_t Buckets::count() const { return state_->buckets.size(); }

}  // namespace grapes::dist
