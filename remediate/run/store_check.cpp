#include "remediate/run/store_check.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "remediate/base/encoding.h"

namespace remediate::run {
namespace {

constexpr std::uint32_t others = 077, others_but_reading = 033;

std::string octal(std::uint32_t mode) {
  std::string text(8, '0');
  const auto end = std::to_chars(text.data(), text.data() + text.size(), mode & 07777u, 8).ptr;
  text.resize(static_cast<std::size_t>(end - text.data()));
  return "0" + text;
}

class StoreCheck {
 public:
  StoreCheck(const Store& store, std::uint32_t user, const std::vector<std::string>& runs,
             const std::string& only, std::vector<Finding>& findings)
      : store_(store),
        user_(user),
        runs_(runs.begin(), runs.end()),
        only_(only),
        findings_(findings) {}

  void run() {
    each(store_.root(), "", [&](const std::string& name, const FileStat& stat) {
      if (name == "store.json" || name == "lock") return file(name, stat);
      static const std::set<std::string> known{"keys", "runs", "journal", "objects", "hold"};
      if (name.starts_with(unfinished_keys)) {
        if (folder(name, stat))
          add(Finding::Level::notice, name,
              "keys of an init that was cut short: nothing was sealed to them");
      } else if (known.contains(name)) {
        folder(name, stat);
      } else {
        stray(name);
      }
    });
    each(store_.keys(), "keys/", [&](const std::string& name, const FileStat& stat) {
      static const std::set<std::string> known{"signer.key", "recovery.key"};
      if (name == "signer.crt" || name == "recovery.crt")
        file("keys/" + name, stat, others_but_reading);
      else
        known.contains(name) ? file("keys/" + name, stat) : stray("keys/" + name);
    });
    each(store_.runs(), "runs/", [&](const std::string& name, const FileStat& stat) {
      if (concerns(name) && folder("runs/" + name, stat)) run_folder(name);
    });
    each(store_.journals(), "journal/",
         [&](const std::string& name, const FileStat& stat) { journal_file(name, stat); });
    each(store_.vault().objects(), "objects/", [&](const std::string& name, const FileStat& stat) {
      if (name.ends_with(".p7m")) return file("objects/" + name, stat);
      if (name.starts_with(".writing-")) stray("objects/" + name);
    });
    holds();
  }

 private:
  [[nodiscard]] bool concerns(const std::string& run) const {
    return only_.empty() || run == only_;
  }

  void add(Finding::Level level, const std::string& where, std::string what) {
    findings_.push_back({level, display(where), std::move(what)});
  }
  void error(const std::string& where, std::string what) {
    add(Finding::Level::error, where, std::move(what));
  }
  /// Nothing reads it, so it changes nothing.
  void stray(const std::string& where) {
    add(Finding::Level::notice, where, "it is no evidence: no file of the store has this name");
  }

  template <class Visit>
  void each(const host::Directory& directory, const std::string& prefix, const Visit& visit) {
    std::vector<std::string> names;
    const auto listed = directory.each_entry([&](std::string_view name, FileKind) {
      names.emplace_back(name);
      return true;
    });
    if (!listed) return error(prefix, listed.error().text());
    std::ranges::sort(names);
    for (const std::string& name : names) {
      const auto stat = directory.stat_entry(name);
      if (!stat && stat.error().code == Code::not_found) continue;  // just removed
      if (!stat)
        error(prefix + name, stat.error().text());
      else
        visit(name, *stat);
    }
  }

  void check_private(const std::string& where, const FileStat& stat, std::uint32_t forbidden) {
    if ((stat.mode & forbidden) != 0)
      error(where, "others can reach it, its mode is " + octal(stat.mode) +
                       ": look who changed it, then chmod go= it");
    if (stat.owner != user_)
      error(where, "it belongs to user " + std::to_string(stat.owner) + ", the store to user " +
                       std::to_string(user_) + ": look who changed it");
  }

  void file(const std::string& where, const FileStat& stat, std::uint32_t forbidden = others) {
    if (stat.kind != FileKind::regular)
      return error(where, "it is not a regular file: look who put it there");
    check_private(where, stat, forbidden);
  }

  bool folder(const std::string& where, const FileStat& stat) {
    if (stat.kind != FileKind::directory) {
      error(where, "it is not a folder: look who put it there");
      return false;
    }
    check_private(where, stat, others);
    return true;
  }

  void run_folder(const std::string& name) {
    const auto path = RawPath::parse(name);
    if (!path) return error("runs/" + name, path.error().text());
    const auto directory = store_.runs().open_directory(*path, host::Mounts::stay);
    const std::string prefix = "runs/" + name + "/";
    if (!directory) return error(prefix, directory.error().text());
    each(**directory, prefix, [&](const std::string& entry, const FileStat& stat) {
      static const std::set<std::string> known{"plan.json", "plan.json.p7s", "manifest.json",
                                               "manifest.json.p7s"};
      known.contains(entry) ? file(prefix + entry, stat) : stray(prefix + entry);
    });
  }

  /// The run that a file of the journal's folder is of; empty when its name is none of the tool's.
  static std::string run_of(std::string_view name) {
    if (name.ends_with(".jsonl")) return std::string(name.substr(0, name.size() - 6));
    const std::size_t at = name.find(".head-");
    if (at == std::string_view::npos) return {};
    std::string_view number = name.substr(at + 6);
    if (number.ends_with(".p7s")) number.remove_suffix(4);
    if (!number.ends_with(".json")) return {};
    number.remove_suffix(5);
    const bool digits = number.find_first_not_of("0123456789") == std::string_view::npos;
    return digits && !number.empty() && number.front() != '0' ? std::string(name.substr(0, at))
                                                              : std::string();
  }

  /// Before a run appears it has a journal; what is beside a run that is gone was left of it.
  void check_owner(const std::string& where, const std::string& name) {
    if (runs_.contains(name)) return;
    const bool starting = store_.runs().stat_entry(".starting-" + name).has_value();
    add(starting ? Finding::Level::notice : Finding::Level::error, where,
        starting ? "its run was interrupted before it began: nothing was done"
                 : "the folder of its run is gone: take it from a backup");
  }

  void journal_file(const std::string& name, const FileStat& stat) {
    const std::string run = run_of(name);
    if (run.empty()) return stray("journal/" + name);
    if (!concerns(run)) return;
    file("journal/" + name, stat);
    check_owner("journal/" + name, run);
  }

  void holds() {
    const auto path = RawPath::parse("hold");
    if (!path) return error("hold", path.error().text());
    const auto directory = store_.root().open_directory(*path, host::Mounts::stay);
    if (!directory) return error("hold", directory.error().text());
    each(**directory, "hold/", [&](const std::string& name, const FileStat& stat) {
      if (concerns(name) && folder("hold/" + name, stat)) check_owner("hold/" + name, name);
    });
  }

  const Store& store_;
  std::uint32_t user_;
  std::set<std::string> runs_;
  const std::string& only_;
  std::vector<Finding>& findings_;
};

}  // namespace

void check_store(const Store& store, std::uint32_t user, const std::vector<std::string>& runs,
                 const std::string& only, std::vector<Finding>& findings) {
  StoreCheck(store, user, runs, only, findings).run();
}

}  // namespace remediate::run
