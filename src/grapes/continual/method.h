#pragma once

#include "grapes/continual/lesson.h"
#include "grapes/continual/options.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/network.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What is done against forgetting, beside the rule by which the network learns.
namespace grapes::continual {

/// What a method works on. All of it outlives the method.
struct Setting {
  nn::Network& model;
  /// The same network without anything learnt: plain backpropagation, no modulation, no dropout. Its gradients are
  /// those of the loss, which a modulated network's are not.
  std::function<std::unique_ptr<nn::Network>()> plain;
  const nn::Criterion& criterion;
  const Scenario& scenario;
  const Options& options;
  std::uint64_t seed;
};

/// Copy what learns from one network to another of the same shape.
void copy_weights(const nn::Network& from, nn::Network& into);

class Method {
 public:
  explicit Method(const Setting& setting) : setting_(setting) {}
  virtual ~Method() = default;

  /// Before the first batch of a task, and when a task is gone on with after an interruption.
  virtual void begin(std::int64_t task) { (void)task; }
  /// The examples a batch is made of, [n, 2] (task, row): those of the task under way, or more.
  virtual at::Tensor examples(const at::Tensor& own, std::int64_t step) {
    (void)step;
    return own;
  }
  /// What is added to the loss of a batch, [] with a graph; undefined: nothing.
  virtual at::Tensor loss(const Lesson& lesson, const at::Tensor& logits) {
    (void)lesson, (void)logits;
    return {};
  }
  /// Whether gradient() and updated() want to be called: then every update needs its gradients.
  virtual bool watches() const { return false; }
  virtual void gradient() {}  ///< between the backward pass and the update
  virtual void updated() {}   ///< after the update
  /// After the last batch of a task.
  virtual void end(std::int64_t task) { (void)task; }

  struct State {
    std::string name;
    at::Tensor value;  ///< the live one, to be copied into on loading
  };
  virtual std::vector<State> state() { return {}; }

 protected:
  const Setting setting_;
};

struct MethodRow {
  std::string name;
  std::string summary;
  std::unique_ptr<Method> (*make)(const Setting& setting);
  bool joint = false;      ///< batches are drawn from all tasks at once: no continual learning, but what it could reach
  bool gradients = false;  ///< needs those of every update, see watches()
};
const std::vector<MethodRow>& methods();

// The rows' makers.
std::unique_ptr<Method> make_ewc(const Setting& setting);
std::unique_ptr<Method> make_si(const Setting& setting);
std::unique_ptr<Method> make_lwf(const Setting& setting);
std::unique_ptr<Method> make_replay(const Setting& setting);

}  // namespace grapes::continual
