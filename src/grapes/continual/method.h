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

/// Methods against forgetting. They are independent of the learning rule.
namespace grapes::continual {

/// What a method works on. All members must outlive it.
struct MethodContext {
  nn::Network& model;
  /// Creates the same network, untrained, with plain backpropagation. Its gradients are those of the loss; gradients of
  /// a modulated network are not.
  std::function<std::unique_ptr<nn::Network>()> plain;
  const nn::Criterion& criterion;
  const Scenario& scenario;
  const Options& options;
  std::uint64_t seed;
};

/// Returns a plain network with the current weights.
std::unique_ptr<nn::Network> plain_copy(const MethodContext& context);
/// Computes the loss on examples of one task, [], with a graph, in evaluation mode: without dropout and with running
/// statistics.
/// @param targets  computes the targets from the task's answers, [batch, answers]: those of the examples, or a draw
using Targets = std::function<at::Tensor(const at::Tensor& answers)>;
at::Tensor evaluated_loss(const MethodContext& context, nn::Network& plain, std::int64_t task, const data::Batch& batch,
                          std::int64_t number, const Targets& targets = {});

class Method {
 public:
  explicit Method(const MethodContext& context) : context_(context) {}
  virtual ~Method() = default;

  /// Called before the first batch of a task, and when a task resumes after an interruption.
  virtual void begin(std::int64_t task) { (void)task; }
  /// Returns the batches of an epoch, each [n, 2] (task, row), from those of the current task: the same, joined by
  /// other examples, or others. An epoch that resumes calls it again, so what it reads of state() must not change
  /// before end_epoch().
  /// @param step  step of the first batch
  virtual std::vector<at::Tensor> batches(std::vector<at::Tensor> own, std::int64_t step) {
    (void)step;
    return own;
  }
  virtual void end_epoch() {}
  /// Returns the loss of a batch, [] with a graph: the criterion's on its answers, or another one. All of it reaches
  /// the units as error, along the rule's route, and is modulated.
  /// @param logits  [batch, outputs]
  virtual at::Tensor loss(const TaskBatch& batch, const at::Tensor& logits);
  /// Whether before_update() must be called. Every update then needs its gradients.
  virtual bool needs_gradients() const { return false; }
  virtual void before_update(const TaskBatch& batch) { (void)batch; }  ///< may change the gradients
  /// @param answers  [batch, answers], those of the forward pass before the update, without a graph
  virtual void after_update(const TaskBatch& batch, const at::Tensor& answers) { (void)batch, (void)answers; }
  /// Called after the last batch of a task.
  virtual void end(std::int64_t task) { (void)task; }

  struct State {
    std::string name;
    at::Tensor value;  ///< not a copy; loading writes into it
  };
  virtual std::vector<State> state() { return {}; }

 protected:
  const MethodContext context_;
};

struct MethodRow {
  std::string name;
  std::string summary;
  std::unique_ptr<Method> (*make)(const MethodContext& context);
  bool joint = false;      ///< draws batches from all tasks at once: not continual learning, but its upper bound
  bool gradients = false;  ///< needs those of every update, see Method::needs_gradients()
  bool restarts = false;   ///< every task starts from the initial weights
};
const std::vector<MethodRow>& methods();

// Constructors of the rows.
std::unique_ptr<Method> make_ewc(const MethodContext& context);
std::unique_ptr<Method> make_online_ewc(const MethodContext& context);
std::unique_ptr<Method> make_si(const MethodContext& context);
std::unique_ptr<Method> make_lwf(const MethodContext& context);
std::unique_ptr<Method> make_replay(const MethodContext& context);
std::unique_ptr<Method> make_der(const MethodContext& context);
std::unique_ptr<Method> make_der_plus(const MethodContext& context);
std::unique_ptr<Method> make_er_ace(const MethodContext& context);
std::unique_ptr<Method> make_a_gem(const MethodContext& context);
std::unique_ptr<Method> make_gdumb(const MethodContext& context);

}  // namespace grapes::continual
