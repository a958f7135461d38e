#include "grapes/analog/responses.h"
#include "grapes/base/file.h"
#include "grapes/base/table.h"
#include "grapes/cli/hardware.h"
#include "grapes/plot/pictures.h"

#include <fmt/format.h>

#include <iostream>
#include <optional>

namespace grapes::cli {
namespace {

struct DevicesOptions {
  std::vector<std::string> names;
  std::int64_t weights = 1000;
  std::optional<std::int64_t> pulses;
  std::uint64_t seed = 1;
  std::string out;
  bool json = false;
};

struct Measured {
  const analog::Device* device;
  std::int64_t pulses;
  analog::Responses responses;
};

std::vector<Measured> measure(const DevicesOptions& options) {
  std::vector<const analog::Device*> chosen;
  for (const std::string& name : options.names) chosen.push_back(&find_row(analog::devices(), "device", name));
  if (chosen.empty())
    for (const analog::Device& device : analog::devices()) chosen.push_back(&device);
  std::vector<Measured> all;
  for (const analog::Device* device : chosen) {
    const std::int64_t pulses = options.pulses.value_or(analog::pulses_to_fill(*device));
    all.push_back({device, pulses, analog::responses(*device, options.weights, pulses, options.seed)});
  }
  return all;
}

std::string csv(const std::vector<Measured>& all) {
  std::string text = "device,pulses_up,pulses_down,mean,sd,expected,expected_sd\n";
  for (const Measured& m : all)
    for (std::size_t n = 0; n < m.responses.mean.size(); ++n) {
      const auto done = static_cast<std::int64_t>(n);
      text += fmt::format("{},{},{},{},{},{},{}\n", m.device->name, std::min(done, m.pulses),
                          std::max<std::int64_t>(done - m.pulses, 0), m.responses.mean[n], m.responses.sd[n],
                          m.responses.expected[n], m.responses.expected_sd[n]);
    }
  return text;
}

std::string picture(const std::vector<Measured>& all) {
  std::vector<plot::DeviceResponse> panels;
  for (const Measured& m : all)
    panels.push_back(
        {m.device->name,
         m.device->pair == analog::Pair::one_sided ? "difference of two devices" : "one device and a fixed one",
         m.responses.mean, m.responses.sd, m.responses.expected, static_cast<std::size_t>(m.pulses)});
  return plot::response_picture(panels);
}

Exit devices(const DevicesOptions& options) {
  const std::vector<Measured> all = measure(options);
  const std::filesystem::path folder = options.out;
  write_file(folder / "responses.csv", csv(all));
  write_file(folder / "responses.svg", picture(all));
  nlohmann::json document = {
      {"weights", options.weights}, {"folder", options.out}, {"devices", nlohmann::json::array()}};
  std::vector<std::vector<std::string>> rows = {
      {"device", "pulses", "after those up", "closed form", "after those down", "closed form"}};
  for (const Measured& m : all) {
    const auto top = static_cast<std::size_t>(m.pulses), end = 2 * top;
    const auto at = [&](std::size_t n) {
      return nlohmann::json{{"mean", m.responses.mean[n]},
                            {"sd", m.responses.sd[n]},
                            {"expected", m.responses.expected[n]},
                            {"expected_sd", m.responses.expected_sd[n]}};
    };
    document["devices"].push_back({{"name", m.device->name}, {"pulses", m.pulses}, {"up", at(top)}, {"down", at(end)}});
    const auto measured = [&](std::size_t n) {
      return fmt::format("{:.3f} ± {:.3f}", m.responses.mean[n], m.responses.sd[n]);
    };
    const auto expected = [&](std::size_t n) {
      return fmt::format("{:.3f} ± {:.3f}", m.responses.expected[n], m.responses.expected_sd[n]);
    };
    rows.push_back(
        {m.device->name, std::to_string(m.pulses), measured(top), expected(top), measured(end), expected(end)});
  }
  if (options.json) {
    print_json(document);
  } else {
    std::cout << columns(rows, "lr") << "numbers: " << (folder / "responses.csv").string()
              << "\nplot: " << (folder / "responses.svg").string() << "\n";
  }
  return Exit::done;
}

}  // namespace

void add_devices(Program& program, CLI::App& hardware) {
  CLI::App* verb = add_verb(
      hardware, "devices", "simulate how analog devices respond to pulses and compare with the closed form",
      {{"grapes hardware devices --out devices", "simulate all devices; write responses.csv and responses.svg"},
       {"grapes hardware devices --device pcm --device reram --pulses 100 --out two",
        "simulate two devices with 100 pulses up and down"},
       {"grapes list devices", "list the parameters of the devices and their sources"}});
  const auto options = std::make_shared<DevicesOptions>();
  verb->add_option("--device", options->names,
                   "a device of grapes list devices; repeat the option for several devices [all]")
      ->type_name("NAME");
  verb->add_option("--weights", options->weights, "number of simulated weights of each device [1000]")
      ->type_name("N")
      ->check(CLI::Range(2, 1'000'000).description(""));
  verb->add_option("--pulses", options->pulses,
                   "number of pulses up, and then down [as many as reach 95 % of the range]")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000).description(""));
  verb->add_option("--seed", options->seed, "seed of the random differences and the noise [1]")->type_name("N");
  verb->add_option("--out", options->out, "folder to write into")->type_name("FOLDER")->required();
  verb->add_flag("--json", options->json, "print the result as one JSON document");
  verb->callback([&program, options] { program.action = [options] { return devices(*options); }; });
}

}  // namespace grapes::cli
