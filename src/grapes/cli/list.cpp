#include "grapes/analog/device.h"
#include "grapes/base/text.h"
#include "grapes/cli/program.h"
#include "grapes/continual/method.h"
#include "grapes/credit/route.h"
#include "grapes/data/source.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/key.h"
#include "grapes/experiment/presets.h"
#include "grapes/nir/types.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/init.h"
#include "grapes/nn/layer_kind.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/surrogate.h"
#include "grapes/optim/schedule.h"

#include <iostream>

namespace grapes::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

template <class Table>
Rows name_and_summary(const Table& table) {
  Rows rows;
  for (const auto& row : table) rows.push_back({row.name, row.summary});
  return rows;
}

/// All learning rules: every pair of a route and a modulation, as --arms names it.
Rows rules() {
  Rows rows;
  for (const auto& route : credit::routes())
    for (const auto& modulation : credit::modulations()) {
      experiment::Config config;
      config.network.rule.route = route.name;
      config.network.rule.modulation = modulation.name;
      const std::string& symbol = modulation.symbol;
      rows.push_back({experiment::arm_label(config) + (symbol.empty() ? "" : ":" + symbol + "1," + symbol + "2,..."),
                      route.name, modulation.name});
    }
  return rows;
}

Rows keys() {
  Rows rows;
  for (const auto& key : experiment::keys()) rows.push_back({key.group, key.name, key.get({}), key.takes, key.meaning});
  return rows;
}

/// Every device, followed by its numbers.
Rows devices() {
  Rows rows;
  for (const auto& device : analog::devices()) {
    rows.push_back({device.name, "", "", "", device.summary + "; " + device.source});
    for (const auto& field : analog::fields())
      if (const auto source = device.sources.find(field.name); source != device.sources.end())
        rows.push_back({device.name, field.name, shortest(device.*field.value), field.unit, source->second});
  }
  return rows;
}

/// A table that can be listed.
struct Listing {
  std::string name;
  std::string content;
  std::vector<std::string> head;
  Rows (*rows)();
};

const std::vector<Listing>& listings() {
  static const std::vector<std::string> plain = {"name", "what it is"};
  static const std::vector<Listing> table = {
      {"models", "models", plain, [] { return name_and_summary(nn::models()); }},
      {"rules", "learning rules, as --arms names them", {"arm", "route", "modulation"}, rules},
      {"routes", "routes of the error", plain, [] { return name_and_summary(credit::routes()); }},
      {"modulations", "modulations of the error", plain, [] { return name_and_summary(credit::modulations()); }},
      {"optimizers", "optimizers", plain, [] { return name_and_summary(optim::optimizers()); }},
      {"schedules", "learning-rate schedules", plain, [] { return name_and_summary(optim::schedules()); }},
      {"initializers", "initial distributions of weights", plain, [] { return name_and_summary(nn::initializers()); }},
      {"activations", "activation functions", plain, [] { return name_and_summary(nn::activations()); }},
      {"layers", "kinds of dense layers", plain, [] { return name_and_summary(nn::layer_kinds()); }},
      {"neurons", "spiking neurons", plain, [] { return name_and_summary(nn::neurons()); }},
      {"surrogates", "surrogates for the derivative of a spike", plain,
       [] { return name_and_summary(nn::surrogates()); }},
      {"resets", "what a spike can do to the membrane", plain, [] { return name_and_summary(nn::resets()); }},
      {"encoders", "how images can be turned into spikes", plain, [] { return name_and_summary(nn::encoders()); }},
      {"readouts", "how spikes over time can become a prediction", plain,
       [] { return name_and_summary(nn::readouts()); }},
      {"presets", "problems with settings that fit them", plain,
       [] { return name_and_summary(experiment::presets()); }},
      {"methods", "methods against forgetting", plain, [] { return name_and_summary(continual::methods()); }},
      {"scenarios", "ways to make several tasks from a data set", plain,
       [] { return name_and_summary(continual::scenarios()); }},
      {"nir-types", "node types of NIR graphs that Grapes knows", plain, [] { return name_and_summary(nir::types()); }},
      {"losses", "loss functions", plain, [] { return name_and_summary(nn::losses()); }},
      {"data", "named data sets", plain, [] { return name_and_summary(data::sources()); }},
      {"devices",
       "analog devices, with their parameters and sources",
       {"device", "number", "value", "unit", "source"},
       devices},
      {"keys",
       "settings of the command line and of TOML files",
       {"group", "name", "default", "takes", "meaning"},
       keys},
  };
  return table;
}

}  // namespace

void add_list(Program& program) {
  CLI::App* verb = add_verb(program.app, "list", "list the values that a setting can take",
                            {{"grapes list rules", "list all learning rules"},
                             {"grapes list keys", "list all settings"},
                             {"grapes list optimizers --json", "print JSON"}});
  verb->require_subcommand(1);
  const auto json = std::make_shared<bool>(false);
  verb->add_flag("--json", *json, "print one JSON document");
  for (const Listing& listing : listings()) {
    CLI::App* table = add_verb(*verb, listing.name, "list " + listing.content,
                               {{"grapes list " + listing.name, "print one row per line"}});
    table->callback([&program, &listing, json] {
      program.action = [&listing, json] {
        Rows rows = listing.rows();
        if (*json) {
          nlohmann::json document = nlohmann::json::array();
          for (const auto& row : rows) {
            nlohmann::json object;
            for (std::size_t i = 0; i < row.size(); ++i) object[listing.head[i]] = row[i];
            document.push_back(object);
          }
          print_json(document);
        } else {
          rows.insert(rows.begin(), listing.head);
          std::cout << columns(rows);
        }
        return Exit::done;
      };
    });
  }
}

}  // namespace grapes::cli
