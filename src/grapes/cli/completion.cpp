#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/cli/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

namespace grapes::cli {
namespace {

/// A verb or subverb with its options.
struct Node {
  std::string path;  ///< "", "train", "data show"
  std::vector<std::string> verbs;
  struct Word {
    std::string name, meaning;
    std::vector<std::string> values;
    bool takes_value;
  };
  std::vector<Word> options;
};

/// Returns the words of "relu|tanh|sigmoid"; empty for other kinds of values, like "NUMBER > 0".
std::vector<std::string> alternatives(const std::string& values) {
  std::vector<std::string> words = split(values, '|');
  const bool plain =
      words.size() > 1 && values.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_|") == std::string::npos;
  return plain ? words : std::vector<std::string>();
}

void collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{path, {}, {}};
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
    for (const CLI::Option* option : level->get_options())
      for (const std::string& name : option->get_lnames()) {
        std::string meaning = option->get_description();
        std::replace(meaning.begin(), meaning.end(), '\n', ' ');
        if (level != &app && (name == "help" || name == "version")) continue;
        node.options.push_back(
            {"--" + name, meaning, alternatives(option->get_type_name()), option->get_expected_max() > 0});
      }
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) node.verbs.push_back(child->get_name());
  nodes.push_back(node);
  for (const CLI::App* child : children)
    collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), nodes);
}

/// Shell code that joins the verbs typed so far to the path of the current node, for bash and zsh.
std::string find_path(const std::vector<Node>& nodes, const std::string& words) {
  std::string script =
      "  local verb='' word next\n  for word in " + words + "; do\n    next=\"${verb:+$verb }$word\"\n";
  std::vector<std::string> paths;
  for (const Node& node : nodes)
    if (!node.path.empty()) paths.push_back("'" + node.path + "'");
  return script + "    case \"$next\" in\n      " + join(paths, "|") + ") verb=$next ;;\n    esac\n  done\n";
}

std::string bash(const std::vector<Node>& nodes) {
  std::string script =
      "# bash completion for grapes: put this file into ~/.local/share/bash-completion/completions/grapes\n"
      "_grapes() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=''\n" +
      find_path(nodes, "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"") + "  case \"$verb $previous\" in\n";
  for (const Node& node : nodes)
    for (const auto& option : node.options)
      if (!option.values.empty())
        script += fmt::format("    '{} {}') COMPREPLY=($(compgen -W '{}' -- \"$current\")); return ;;\n", node.path,
                              option.name, join(option.values, " "));
  script += "  esac\n  case \"$verb\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> words = node.verbs;
    for (const auto& option : node.options) words.push_back(option.name);
    script += fmt::format("    '{}') words='{}' ;;\n", node.path, join(words, " "));
  }
  return script +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -o bashdefault -F _grapes grapes\n";
}

/// Escapes text for single quotes in any of the shells, and removes characters that are special in zsh's _describe.
std::string harmless(std::string text) {
  for (char& c : text)
    if (std::string_view("'\\:[]`$").find(c) != std::string_view::npos) c = ' ';
  return text;
}

std::string zsh(const std::vector<Node>& nodes) {
  std::string script =
      "#compdef grapes\n# zsh completion for grapes: put this file as _grapes into a folder of $fpath\n"
      "_grapes() {\n  local -a choices\n" +
      find_path(nodes, "${words[2,CURRENT-1]}") + "  case \"$verb ${words[CURRENT-1]}\" in\n";
  for (const Node& node : nodes)
    for (const auto& option : node.options)
      if (!option.values.empty())
        script += fmt::format("    '{} {}') choices=({}); _describe value choices; return ;;\n", node.path, option.name,
                              join(option.values, " "));
  script += "  esac\n  case \"$verb\" in\n";
  for (const Node& node : nodes) {
    std::vector<std::string> choices = node.verbs;
    for (const auto& option : node.options) choices.push_back("'" + option.name + ":" + harmless(option.meaning) + "'");
    script += fmt::format("    '{}') choices=({}) ;;\n", node.path, join(choices, " "));
  }
  return script + "  esac\n  _describe grapes choices\n  _files\n}\ncompdef _grapes grapes\n";
}

std::string fish(const std::vector<Node>& nodes) {
  std::string script = "# fish completion for grapes: put this file into ~/.config/fish/completions/grapes.fish\n";
  for (const Node& node : nodes) {
    std::string here = "__fish_use_subcommand";
    if (!node.path.empty()) {
      std::vector<std::string> conditions;
      for (const std::string& word : split(node.path, ' ')) conditions.push_back("__fish_seen_subcommand_from " + word);
      here = join(conditions, "; and ");
    }
    for (const std::string& verb : node.verbs) script += fmt::format("complete -c grapes -n '{}' -a {}\n", here, verb);
    for (const auto& option : node.options)
      script += fmt::format("complete -c grapes -n '{}' -l {} {}{}-d '{}'\n", here, option.name.substr(2),
                            option.takes_value ? "-r " : "",
                            option.values.empty() ? "" : "-f -a '" + join(option.values, " ") + "' ",
                            harmless(option.meaning));
  }
  return script;
}

struct Shell {
  std::string name;
  std::string (*script)(const std::vector<Node>& nodes);
};
const std::vector<Shell>& shells() {
  static const std::vector<Shell> table = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
  return table;
}

}  // namespace

void add_completion(Program& program) {
  CLI::App* verb = add_verb(
      program.app, "completion", "print a script with which the shell completes verbs, options and values",
      {{"grapes completion bash > ~/.local/share/bash-completion/completions/grapes", "install it for every new shell"},
       {"source <(grapes completion bash)", "use it in the current shell"}});
  const auto shell = std::make_shared<std::string>();
  verb->add_option("shell", *shell, "name of the shell")->type_name("bash|zsh|fish")->required();
  verb->callback([&program, shell] {
    program.action = [&program, shell] {
      std::vector<Node> nodes;
      collect(program.app, "", nodes);
      std::cout << find_row(shells(), "shell", *shell).script(nodes);
      return Exit::done;
    };
  });
}

}  // namespace grapes::cli
