// e-prop forward in time: a spiking layer learns at every step, and stores only the state of the last step.
// The network must say, eight steps later, which of two cues was shown.
#include <grapes/grapes.h>
#include <torch/torch.h>

#include <iostream>

int main() {
  torch::manual_seed(1);
  constexpr std::int64_t batch = 32, units = 50, last = 9;
  const auto options = grapes::nn::SnuOptions().recurrent(true).decay(0.95).rule({.membrane_activation = "leaky_relu"});
  grapes::nn::Snu layer(3, units, options);  // modulated by GRAPES; that is the default
  torch::nn::Linear answer(units, 2);
  torch::optim::Adam optimizer({layer->weight, layer->recurrent, layer->threshold, answer->weight, answer->bias},
                               0.005);
  grapes::nn::Online online(layer);

  std::int64_t right = 0;
  for (int sequence = 0; sequence < 300; ++sequence) {
    const auto cue = torch::randint(2, {batch}, torch::kLong);
    online.begin();
    optimizer.zero_grad();
    for (std::int64_t t = 0; t <= last; ++t) {
      const auto noise = torch::rand({batch, 1}).lt(0.3).to(torch::kFloat);
      const auto shown = torch::one_hot(cue, 2).to(torch::kFloat) * (t < 2 ? 1.0 : 0.0);
      auto y = online.forward(torch::cat({shown, noise}, 1)).requires_grad_();
      if (t < last) continue;
      const auto logits = answer->forward(y);
      torch::nn::functional::cross_entropy(logits, cue).backward();
      online.learn(y.grad());
      if (sequence >= 290) right += (logits.argmax(1) == cue).sum().item<std::int64_t>();
    }
    optimizer.step();
  }
  std::cout << right * 100 / (10 * batch) << " % correct, with " << online.bytes() / 1024
            << " KB kept from step to step\n";
}
