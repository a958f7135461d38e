#include "grapes/cli/progress.h"
#include "grapes/cli/settings.h"
#include "grapes/data/fetch.h"
#include "grapes/data/picture.h"
#include "grapes/data/source.h"
#include "grapes/data/summary.h"
#include "grapes/data/take.h"

#include <fmt/format.h>

#include <iostream>

namespace grapes::cli {
namespace {

void add_data_dir(CLI::App& verb, std::string& data_dir) {
  verb.add_option("--data-dir", data_dir, "search this folder first")->type_name("FOLDER");
}

void add_list_sources(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "list", "list the named data sets and where their files are",
               {{"grapes data list", "list all data sets"}, {"grapes data list --json", "list them as JSON"}});
  struct Options {
    std::string data_dir;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  add_data_dir(*verb, options->data_dir);
  verb->add_flag("--json", options->json, "print one JSON document");
  verb->callback([&program, options] {
    program.action = [options] {
      nlohmann::json document = nlohmann::json::array();
      std::vector<std::vector<std::string>> rows = {{"name", "what it is", "where it is"}};
      for (const data::Source& source : data::sources()) {
        const auto [complete, where] = data::find(source.name, options->data_dir);
        rows.push_back({source.name, source.summary, where.empty() ? "not found" : where});
        document.push_back(
            {{"name", source.name}, {"summary", source.summary}, {"complete", complete}, {"where", where}});
      }
      if (options->json)
        print_json(document);
      else
        std::cout << columns(rows);
      return Exit::done;
    };
  });
}

void add_get(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(
      parent, "get", "install a named data set in your cache: download it, or take it from files that you downloaded",
      {{"grapes data get mnist", "download MNIST, or resume its download"},
       {"grapes data get emnist-letters --from gzip.zip",
        "take it from an archive that you downloaded from its authors"}});
  struct Options {
    std::string name, from;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("name", options->name, "name of the data set")->type_name("NAME")->required();
  verb->add_option("--from", options->from, "take the data set from here instead of downloading it")
      ->type_name("ARCHIVE|FILE|FOLDER");
  verb->callback([&program, options] {
    program.action = [&program, options] {
      std::string folder;
      if (options->from.empty()) {
        ProgressBar bar(program.err(), program.quiet);
        folder = data::fetch(options->name, bar.downloads());
        bar.clear();
      } else {
        const data::Taken taken = data::take(options->name, options->from);
        for (const std::string& note : taken.notes) program.say("note: " + note);
        folder = taken.folder.string();
      }
      std::cout << options->name << ": " << folder << "\n";
      return Exit::done;
    };
  });
}

void add_verify(Program& program, CLI::App& parent) {
  CLI::App* verb = add_verb(parent, "verify", "compare the files of data sets with their SHA-256",
                            {{"grapes data verify", "check every data set that is found"},
                             {"grapes data verify mnist --data-dir /data", "check MNIST in /data"}});
  struct Options {
    std::string name, data_dir;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("name", options->name, "name of the data set [all that are found]")->type_name("NAME");
  add_data_dir(*verb, options->data_dir);
  verb->callback([&program, options] {
    program.action = [options] {
      std::vector<std::string> names;
      if (!options->name.empty())
        names = {options->name};
      else
        for (const data::Source& source : data::sources())
          if (!data::find(source.name, options->data_dir).where.empty()) names.push_back(source.name);
      bool good = true;
      for (const std::string& name : names)
        good &= data::verify(name, options->data_dir, [](const std::string& line) { std::cout << line << "\n"; });
      if (!good) throw DataError("files are missing or differ, see the lines above");
      return Exit::done;
    };
  });
}

void add_show(Program& program, CLI::App& parent) {
  CLI::App* verb =
      add_verb(parent, "show", "summarize a data set: counts per class, value ranges, and an image of examples",
               {{"grapes data show", "summarize the built-in digits"},
                {"grapes data show prices.csv --target price", "summarize your own table"},
                {"grapes data show mnist --out sheet.png --augment rotate=10,shift=0.15", "draw augmented examples"}});
  struct Options {
    std::string name, out;
    int rows = 10, columns = 10;
    Settings settings;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("name", options->name, "name of a data set, or the path of your own data [digits]")
      ->type_name("NAME|PATH");
  verb->add_option("--out", options->out, "draw examples into this image")->type_name("SHEET.png");
  verb->add_option("--sheet-rows", options->rows, "rows of examples in the image [10]")
      ->check(CLI::Range(1, 1000).description(""));
  verb->add_option("--sheet-columns", options->columns, "columns of examples in the image [10]")
      ->check(CLI::Range(1, 1000).description(""));
  options->settings.add(*verb, {"data", "training"},
                        {"data", "epochs", "batch-size", "loss", "patience", "checkpoint-every", "evaluate-every",
                         "record-alignment", "record-dose", "arm-name", "factors-at-rest", "carry-remainder"});
  verb->callback([&program, options] {
    program.action = [&program, options] {
      experiment::Config config;
      if (!options->name.empty()) config.data.data = options->name;
      options->settings.apply(config);
      ProgressBar bar(program.err(), program.quiet);
      const data::Splits splits = data::open(config.data, config.training.seed, bar.downloads());
      bar.clear();
      std::cout << data::summary(splits);
      if (!options->out.empty()) {
        data::contact_sheet(splits, options->rows, options->columns, config.training.seed, options->out);
        std::cout << "examples: " << options->out << "\n";
      } else if (splits.train != splits.train_plain) {
        program.say("--out sheet.png shows what augmentation and random crops do");
      }
      return Exit::done;
    };
  });
}

}  // namespace

void add_data(Program& program) {
  CLI::App* verb = add_verb(program.app, "data", "list, install, check and show data sets",
                            {{"grapes data list", "list all data sets"},
                             {"grapes data get mnist", "download MNIST"},
                             {"grapes data show mnist --out sheet.png", "draw some of its images"}});
  verb->require_subcommand(1);
  add_list_sources(program, *verb);
  add_get(program, *verb);
  add_verify(program, *verb);
  add_show(program, *verb);
}

}  // namespace grapes::cli
