#include "grapes/report/report.h"

#include "grapes/cli/experiment.h"

#include <iostream>

namespace grapes::cli {
namespace fs = std::filesystem;

void add_report(Program& program) {
  CLI::App* verb =
      add_verb(program.app, "report", "write the report and print the tables again, from the records of finished runs",
               {{"grapes report runs/20260101-120000-compare", "write the report of one comparison"},
                {"grapes report runs/a runs/b --out both",
                 "write one report of several folders; runs with the same seed and settings are paired"},
                {"grapes report runs/a --json", "print all numbers as JSON"}});
  struct Options {
    std::vector<std::string> runs;
    std::string out, title, baseline = "bp";
    double target = 0, smallest_effect = 0;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  verb->add_option("run", options->runs, "folders of runs")->type_name("FOLDER")->required();
  verb->add_option("--out", options->out,
                   "folder for the report [the given folder if there is only one, else ./report]")
      ->type_name("FOLDER");
  verb->add_option("--title", options->title, "title of the report")->type_name("TEXT");
  verb->add_option("--baseline", options->baseline, "arm with which all others are compared [bp]")->type_name("ARM");
  verb->add_option(
          "--target", options->target,
          "test score; the report counts the epochs until a run reaches it [98 % of the baseline's final mean]")
      ->type_name("NUMBER");
  verb->add_option("--smallest-effect", options->smallest_effect,
                   "smallest difference of the score that matters, in the unit of the tables (points of accuracy); the "
                   "report then says whether a difference is better, negligible, none, or not resolved")
      ->type_name("NUMBER")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--json", options->json, "print all numbers as one JSON document");
  verb->callback([&program, options] {
    program.action = [options] {
      const std::vector<fs::path> folders(options->runs.begin(), options->runs.end());
      const fs::path out = !options->out.empty() ? options->out : folders.size() == 1 ? folders[0].string() : "report";
      const report::Summary summary = report::summarize(
          report::read(folders), {options->baseline, options->target, options->title, options->smallest_effect});
      const fs::path page = report::write(summary, out);
      if (options->json) {
        record::Json document = report::to_json(summary);
        document["report"] = page.string();
        print_json(document);
        return Exit::done;
      }
      print(summary);
      std::cout << "\nreport: " << page.string() << "\n";
      return Exit::done;
    };
  });
}

}  // namespace grapes::cli
