#include "grapes/train/sharing.h"

#include "grapes/base/error.h"
#include "grapes/base/interrupt.h"
#include "grapes/base/random.h"
#include "grapes/record/record.h"
#include "grapes/train/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <map>

namespace grapes::train {
namespace {

std::vector<at::Tensor> learned(const nn::Network& model) {
  std::vector<at::Tensor> all;
  for (const nn::Named& parameter : model.parameters())
    if (parameter.value.requires_grad()) all.push_back(parameter.value);  // a feedback weight takes the gradient of W
  return all;
}

/// A hash of the bits of all weights.
std::uint64_t checksum(const nn::Network& model) {
  std::uint64_t hash = 0;
  for (const nn::Named& parameter : model.parameters()) {
    const at::Tensor bits = parameter.value.detach().contiguous();
    const auto* bytes = static_cast<const char*>(bits.data_ptr());
    for (std::size_t at = 0; at < bits.nbytes(); at += sizeof hash) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + at, std::min(sizeof word, bits.nbytes() - at));
      hash = splitmix(hash ^ word);
    }
  }
  return hash;
}

}  // namespace

Share share_of(const at::Tensor& batch, std::int64_t number, std::int64_t parts) {
  const std::int64_t n = batch.size(0), begin = number * n / parts, end = (number + 1) * n / parts;
  if (begin == end) return {batch.narrow(0, std::min(begin, n - 1), 1), std::min(begin, n - 1), 0, true};
  return {batch.narrow(0, begin, end - begin), begin, static_cast<double>(end - begin) / static_cast<double>(n)};
}

Sharing::Sharing(const nn::Network& model, dist::Group* group, std::int64_t parts)
    : model_(model), group_(group), parts_(parts) {
  if (group_ != nullptr) buckets_.emplace(*group_, learned(model));
}

Share Sharing::share(const at::Tensor& batch, std::int64_t part) const {
  const std::int64_t rank = group_ != nullptr ? group_->rank() : 0, world = group_ != nullptr ? group_->size() : 1;
  return share_of(batch, rank * parts_ + part, world * parts_);
}

std::shared_ptr<const nn::Together> Sharing::together(const Share& share) const {
  if (group_ == nullptr) return nullptr;
  return std::make_shared<nn::Together>(
      nn::Together{[group = group_](const at::Tensor& x) { group->sum(x); }, !share.idle});
}

void Sharing::begin(double loss, double weight, bool last) {
  weighted_ += weight > 0 ? loss * weight : 0;
  weight_ += weight;
  if (!last || !buckets_) return;
  const int pending = interrupt::pending();
  buckets_->begin({weighted_, weight_, pending == SIGINT ? 1.0 : 0.0, pending == SIGTERM ? 1.0 : 0.0},
                  !model_.recomputes());
}

bool Sharing::finish() {
  if (buckets_) {
    const std::vector<double> sums = buckets_->finish();
    weighted_ = sums[0];
    weight_ = sums[1];
    signal_ = sums[3] > 0 ? SIGTERM : sums[2] > 0 ? SIGINT : 0;
  }
  loss_ = weighted_ / weight_;
  // The weights of sequences are numbers of time steps per example, so their sum is known only now.
  if (std::abs(weight_ - 1) > 1e-9) {
    const at::NoGradGuard no_grad;
    for (const at::Tensor& parameter : learned(model_))
      if (parameter.grad().defined()) parameter.mutable_grad().div_(weight_);
  }
  weighted_ = weight_ = 0;
  return std::isfinite(loss_);
}

int Sharing::signal() const { return group_ != nullptr ? signal_ : interrupt::pending(); }

Totals Sharing::sum(const Totals& totals) const { return group_ != nullptr ? summed(*group_, totals) : totals; }

void Sharing::equalize_buffers() {
  if (group_ == nullptr) return;
  for (const nn::Named& buffer : model_.buffers()) group_->broadcast(buffer.value);
}

void Sharing::check_weights(std::int64_t step) const {
  if (group_ == nullptr) return;
  const std::int64_t world = group_->size();
  const at::Tensor sums = at::zeros({world}, at::kLong);
  sums.data_ptr<std::int64_t>()[group_->rank()] = static_cast<std::int64_t>(checksum(model_));
  group_->sum(sums);
  const auto* sum = sums.data_ptr<std::int64_t>();
  std::map<std::int64_t, int> votes;
  for (std::int64_t rank = 0; rank < world; ++rank) ++votes[sum[rank]];
  if (votes.size() == 1) return;
  std::int64_t most = sum[0];  // of equal numbers, that of rank 0
  for (const auto& [value, count] : votes)
    if (count > votes[most]) most = value;
  std::vector<std::string> differ;
  for (int rank = 0; rank < world; ++rank)
    if (sum[rank] != most) differ.push_back(group_->name_of(rank));
  throw RunError(
      fmt::format("after step {} the weights differ between processes, although all make the same updates: "
                  "{} against {} others; its memory, processor or libraries may be at fault",
                  step, fmt::join(differ, ", "), votes[most]));
}

void equalize(dist::Group& group, TrainState& state) {
  Tensors content = pack(state);
  record::Json list = record::Json::array();
  for (const auto& [name, tensor] : content.tensors)
    list.push_back({name, static_cast<int>(tensor.scalar_type()), tensor.sizes().vec()});
  const auto told =
      record::Json::parse(group.broadcast(record::Json{{"tensors", list}, {"texts", content.metadata}}.dump()));
  if (!group.first()) {
    content.tensors.clear();
    content.metadata = told["texts"].get<std::map<std::string, std::string>>();
    for (const record::Json& one : told["tensors"])
      content.tensors[one[0]] =
          at::empty(one[2].get<std::vector<std::int64_t>>(), static_cast<at::ScalarType>(one[1].get<int>()));
  }
  for (const auto& [name, tensor] : content.tensors)
    if (tensor.numel() > 0) group.broadcast(tensor);
  if (group.first()) return;
  unpack(content, state, "the state of rank 0");
  state.progress.totals = {};  // those of rank 0 are added to ours at the end of the epoch
}

}  // namespace grapes::train
