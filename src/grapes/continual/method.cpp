#include "grapes/continual/method.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace grapes::continual {
namespace {

std::unique_ptr<Method> make_none(const MethodContext& context) { return std::make_unique<Method>(context); }

}  // namespace

at::Tensor Method::loss(const TaskBatch& batch, const at::Tensor& logits) {
  return context_.criterion.loss(answers(context_.scenario, logits, batch.tasks), batch.batch.targets,
                                 batch.batch.present);
}

std::unique_ptr<nn::Network> plain_copy(const MethodContext& context) {
  const at::NoGradGuard no_grad;
  std::unique_ptr<nn::Network> plain = context.plain();
  const std::vector<nn::Named> source = context.model.parameters(), target = plain->parameters();
  for (std::size_t i = 0; i < source.size(); ++i) at::Tensor(target[i].value).copy_(source[i].value);
  for (const nn::Named& buffer :
       plain->buffers())  // running statistics; feedback weights may exist in only one of them
    for (const nn::Named& same : context.model.buffers())
      if (same.name == buffer.name) at::Tensor(buffer.value).copy_(same.value);
  return plain;
}

at::Tensor evaluated_loss(const MethodContext& context, nn::Network& plain, std::int64_t task, const data::Batch& batch,
                          std::int64_t number, const Targets& targets) {
  nn::Pass pass;
  pass.gradients = true;
  pass.seed = context.seed;
  pass.step = number;
  pass.present = batch.present;
  const at::Tensor logits = answers(context.scenario, plain.forward(batch.inputs, pass), at::tensor({task}, at::kLong));
  return context.criterion.loss(logits, targets ? targets(logits.detach()) : batch.targets, batch.present);
}

const std::vector<MethodRow>& methods() {
  static const std::vector<MethodRow> rows = {
      {"none", "no method: the tasks are learned one after the other", make_none},
      {.name = "ewc",
       .summary = "elastic weight consolidation: a penalty keeps weights near their old values, by their Fisher "
                  "information for earlier tasks (Kirkpatrick et al. 2017)",
       .make = make_ewc,
       .gradients = true},
      {.name = "online-ewc",
       .summary = "ewc with a single penalty around the weights after the last task, and a decaying sum of Fisher "
                  "information (Schwarz et al. 2018)",
       .make = make_online_ewc,
       .gradients = true},
      {.name = "si",
       .summary = "synaptic intelligence: a similar penalty, whose strength for a weight is how much its changes have "
                  "decreased the loss (Zenke et al. 2017)",
       .make = make_si,
       .gradients = true},
      {"lwf",
       "learning without forgetting: also trains toward the predictions that the network gave before the task (Li and "
       "Hoiem 2016)",
       make_lwf},
      {"replay", "experience replay: adds stored examples to each batch (Chaudhry et al. 2019)", make_replay},
      {"der",
       "dark experience replay: also trains stored examples toward the logits that they had when they were stored "
       "(Buzzega et al. 2020)",
       make_der},
      {"der++", "der, and also trains on the labels of stored examples (Buzzega et al. 2020)", make_der_plus},
      {"er-ace",
       "replay with asymmetric cross-entropy: the loss of a batch's own examples uses only the classes of the batch "
       "(Caccia et al. 2022)",
       make_er_ace},
      {.name = "a-gem",
       .summary =
           "averaged gradient episodic memory: an update may not increase the loss of stored examples of earlier "
           "tasks (Chaudhry et al. 2019)",
       .make = make_a_gem,
       .gradients = true},
      {.name = "gdumb",
       .summary = "for each task, trains from the initial weights on stored examples alone, equally many of each class "
                  "(Prabhu et al. 2020)",
       .make = make_gdumb,
       .restarts = true},
      {.name = "joint",
       .summary =
           "trains on all tasks at once, with the same number of updates; shows what the methods could reach at best",
       .make = make_none,
       .joint = true},
  };
  return rows;
}

}  // namespace grapes::continual
