#pragma once

#include "grapes/continual/options.h"
#include "grapes/continual/task_batch.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What is done against forgetting, besides the rule by which the network learns.
namespace grapes::continual {

/// What a method works on. All of it outlives the method.
struct MethodContext {
  nn::Network& model;
  /// The same network without anything learned: plain backpropagation, no modulation. Its gradients are those of the
  /// loss, which a modulated network's are not.
  std::function<std::unique_ptr<nn::Network>()> plain;
  const nn::Criterion& criterion;
  const Scenario& scenario;
  const Options& options;
  std::uint64_t seed;
};

/// A plain network with the weights of the one that learns.
std::unique_ptr<nn::Network> plain_copy(const MethodContext& context);
/// The loss on examples of one task, [], and its graph: of the network as it is evaluated, without dropout and by the
/// running statistics. @param targets  of its answers, [batch, answers]: the examples' own, or what is drawn from them
using Targets = std::function<at::Tensor(const at::Tensor& answers)>;
at::Tensor evaluated_loss(const MethodContext& context, nn::Network& plain, std::int64_t task, const data::Batch& batch,
                          std::int64_t number, const Targets& targets = {});

class Method {
 public:
  explicit Method(const MethodContext& context) : context_(context) {}
  virtual ~Method() = default;

  /// Before the first batch of a task, and when a task is resumed after an interruption.
  virtual void begin(std::int64_t task) { (void)task; }
  /// The batches of an epoch, each [n, 2] (task, row), from those of the task in progress: the same, or with more
  /// examples. A function of state(), which must not change before end_epoch().
  /// @param step  of the first one
  virtual std::vector<at::Tensor> batches(std::vector<at::Tensor> own, std::int64_t step) {
    (void)step;
    return own;
  }
  virtual void end_epoch() {}
  /// What is added to the loss of a batch, [] with a graph; undefined: nothing.
  virtual at::Tensor loss(const TaskBatch& batch, const at::Tensor& logits) {
    (void)batch, (void)logits;
    return {};
  }
  /// Whether before_update() and after_update() want to be called: then every update needs its gradients.
  virtual bool needs_gradients() const { return false; }
  virtual void before_update() {}  ///< may add to the gradients
  virtual void after_update() {}
  /// After the last batch of a task.
  virtual void end(std::int64_t task) { (void)task; }

  struct State {
    std::string name;
    at::Tensor value;  ///< the live one, to be copied into on loading
  };
  virtual std::vector<State> state() { return {}; }

 protected:
  const MethodContext context_;
};

struct MethodRow {
  std::string name;
  std::string summary;
  std::unique_ptr<Method> (*make)(const MethodContext& context);
  bool joint = false;      ///< batches are drawn from all tasks at once: no continual learning, but what it could reach
  bool gradients = false;  ///< needs those of every update, see Method::needs_gradients()
};
const std::vector<MethodRow>& methods();

// The rows' makers.
std::unique_ptr<Method> make_ewc(const MethodContext& context);
std::unique_ptr<Method> make_si(const MethodContext& context);
std::unique_ptr<Method> make_lwf(const MethodContext& context);
std::unique_ptr<Method> make_replay(const MethodContext& context);

}  // namespace grapes::continual
