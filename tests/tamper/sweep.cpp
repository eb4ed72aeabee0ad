#include "sweep.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <stdexcept>

#include "remediate/host/durable.h"

namespace remediate::run::test {
namespace {

using Ask = Sweep::Ask;

/// Where the last record begins that a signed head covers, and where the last record begins: what a
/// crashed run recorded since is signed by nobody, and its last record is in no chain either.
struct Ends {
  std::size_t is_signed = 0, last_record = 0;
};

Ends ends_of(Scene& scene, const std::string& journal) {
  std::uint64_t length = 0;
  for (const Place& file : scene.files)
    if (file.kind == Kind::head)
      length =
          std::max(length, parse_json_strict(scene.read(file))->at("length").get<std::uint64_t>());
  Ends ends;
  for (; length > 0; --length) ends.is_signed = journal.find('\n', ends.is_signed) + 1;
  ends.last_record = journal.rfind('\n', journal.size() - 2) + 1;
  return ends;
}

std::size_t step_of(std::size_t size, std::size_t places) {
  return limits().full ? 1 : std::max<std::size_t>(1, size / places);
}

bool evidence(Kind kind) { return kind != Kind::object && kind != Kind::held; }

class FileSweep {
 public:
  FileSweep(Sweep& sweep, const Place& place)
      : sweep_(sweep), scene_(sweep.scene()), place_(place), good_(scene_.read(place)) {
    if (place.kind == Kind::journal) ends_ = ends_of(scene_, good_);
  }

  void run() {
    flips();
    cuts();
    for (const std::string& tail : {std::string("\n"), std::string(" "), std::string("x"),
                                    std::string(1, '\0'), std::string(4096, '\0'), good_})
      written(
          good_ + tail, "bytes behind it",
          // What is no record looks like a write that a crash cut off, and is cut off.
          place_.kind == Kind::journal && tail != "\n" && tail != good_ ? Ask::told : Ask::found,
          true);
    if (!good_.empty()) written(std::string(good_.size(), '\0'), "zeros", Ask::found, true);
    for (std::size_t at = 0; at < good_.size(); at += 512) {
      std::string hole = good_;
      hole.replace(at, 512, std::string(std::min<std::size_t>(512, good_.size() - at), '\0'));
      written(hole, "a sector of zeros", lost_from(at), true);
    }
    removed();
    doubled();
    exchanged();
    scene_.write(place_, good_);
  }

 private:
  /// A loss from here to the end looks like a crash, unless a head says that more was there.
  [[nodiscard]] Ask lost_from(std::size_t at) const {
    return place_.kind == Kind::journal && at >= ends_.is_signed ? Ask::witness : Ask::found;
  }

  void written(const std::string& bytes, const std::string& change, Ask ask, bool refuse) {
    if (bytes == good_) return;
    scene_.write(place_, bytes);
    judge(change, ask, refuse);
  }

  void judge(const std::string& change, Ask ask, bool refuse) {
    sweep_.judge(place_.kind, place_.shown() + ": " + change, ask);
    if (refuse && ask == Ask::found && evidence(place_.kind))
      sweep_.refuse(place_.kind, place_.shown() + ": " + change);
  }

  void flips() {
    const std::size_t step = step_of(good_.size(), limits().flips);
    std::size_t number = 0;
    for (std::size_t at = 0; at < good_.size(); at += step) {
      const bool own =
          place_.kind == Kind::journal && at >= ends_.is_signed && at >= ends_.last_record;
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!limits().full && bit != (number * 5 + at) % 8 && bit != 5) continue;
        std::string flipped = good_;
        flipped[at] = static_cast<char>(flipped[at] ^ (1u << bit));
        written(flipped, "byte " + std::to_string(at) + " bit " + std::to_string(bit),
                own ? Ask::witness : Ask::found, limits().full ? at % 16 == 0 : bit == 5);
      }
      ++number;
    }
  }

  void cuts() {
    const std::size_t step = step_of(good_.size(), limits().cuts);
    for (std::size_t length = 0; length < good_.size(); length += step)
      written(good_.substr(0, length), "cut to " + std::to_string(length), lost_from(length),
              length % 8 == 0);
    if (!good_.empty())
      written(good_.substr(0, good_.size() - 1), "the last byte cut", lost_from(good_.size() - 1),
              true);
  }

  void removed() {
    scene_.write(place_, good_);
    const Place aside{place_.kind, scene_.world.target(), "aside"};
    // On the same mount, so that a held original stays the same inode.
    Place there = aside;
    if (place_.kind == Kind::held) there.folder = place_.folder;
    scene_.move(place_, there);
    // Without it a stopped run looks like one that crashed before it; the journal has it all.
    const bool provisional = scene_.stopped && place_.kind == Kind::manifest;
    if (!provisional) judge("deleted", Ask::found, true);
    scene_.move(there, place_);
  }

  void doubled() {
    if (place_.kind == Kind::held)
      return;  // a name of the hold's own choosing, looked at by nobody
    Place copy = place_;
    copy.name = place_.name + ".copy";
    scene_.create(copy, good_);
    sweep_.judge(place_.kind, place_.shown() + ": copied to another name", Ask::told, true);
    scene_.remove(copy);
  }

  void exchanged() {
    for (const auto* places : {&scene_.files, &scene_.other_files})
      for (const Place& other : *places)
        if (!(other.folder == place_.folder && other.name == place_.name))
          written(scene_.read(other), "the bytes of " + other.shown(), Ask::found,
                  other.kind == place_.kind);
  }

  Sweep& sweep_;
  Scene& scene_;
  const Place& place_;
  std::string good_;
  Ends ends_;
};

/// The files of a place and the signature beside it are replaced together.
void exchange_together(Sweep& sweep, const std::vector<Kind>& kinds, const std::string& what) {
  Scene& scene = sweep.scene();
  std::vector<std::pair<Place, std::string>> good;
  for (const Kind kind : kinds)
    for (const Place& place : scene.files)
      if (place.kind == kind)
        for (const Place& other : scene.other_files)
          if (other.kind == kind) {
            good.emplace_back(place, scene.read(place));
            scene.write(place, scene.read(other));
            break;
          }
  if (good.size() == kinds.size()) {
    sweep.judge(kinds.front(), what + " of another run");
    sweep.refuse(kinds.front(), what + " of another run");
  }
  for (const auto& [place, bytes] : good) scene.write(place, bytes);
}

}  // namespace

const Limits& limits() { return mutable_limits(); }
Limits& mutable_limits() {
  static Limits value;
  return value;
}

Judge by_verify(Scene& scene, const std::string& witness) {
  const auto look = [witness](Scene& at, bool wide) -> Result<VerifyReport> {
    auto store = Store::open(at.memory.host, at.world.store_path());
    if (!store) return std::unexpected(std::move(store).error());
    VerifyOptions options;
    options.witness = witness;
    return verify(at.memory.host, **store, wide ? "" : at.run, options);
  };
  std::set<std::string> known;
  for (const bool wide : {false, true}) {
    const VerifyReport before = must(look(scene, wide));
    INFO(findings(before));
    REQUIRE(before.ok());
    for (const Finding& finding : before.findings) known.insert(finding.where + finding.what);
  }
  return [look, known](Scene& at, bool wide) {
    const auto report = look(at, wide);
    if (!report || !report->ok()) return Verdict::found;
    const bool said = std::ranges::any_of(report->findings, [&](const Finding& finding) {
      return !known.contains(finding.where + finding.what);
    });
    return said ? Verdict::told : Verdict::missed;
  };
}

Judge by_existence(Scene& scene) {
  return [files = scene.files](Scene& at, bool) {
    for (const Place& place : files)
      if (!at.folder(place)->stat_entry(place.name)) return Verdict::found;
    return Verdict::missed;
  };
}

Judge by_chain(Scene&) {
  return [](Scene& at, bool) {
    auto store = Store::open(at.memory.host, at.world.store_path());
    return store && load_run(**store, at.run) ? Verdict::missed : Verdict::found;
  };
}

void Sweep::miss(Kind kind, const std::string& what) {
  ++of(kind).missed;
  if (misses_.size() < 40) misses_.push_back(std::string(kind_name(kind)) + " " + what);
}

void Sweep::judge(Kind kind, const std::string& change, Ask ask, bool wide) {
  Row& row = of(kind);
  ++row.tried;
  const bool by_witness = ask == Ask::witness && !mutant_;
  const Verdict verdict = by_witness ? witness_(scene_, wide) : judge_(scene_, wide);
  if (verdict == Verdict::found)
    ++(by_witness ? row.witnessed : row.found);
  else if (verdict == Verdict::told && ask == Ask::told)
    ++row.told;
  else
    miss(kind, change);
}

void Sweep::refuse(Kind kind, const std::string& change, bool resume_too) {
  if (mutant_) return;
  std::string changed;
  scene_.memory.host.set_fault_hook([&](std::string_view operation, std::string_view name) {
    if (changed.empty()) changed = std::string(operation) + " " + std::string(name);
    return std::optional(Error{Code::io, "the sweep lets nothing be changed", ""});
  });
  World& world = scene_.world;
  if (const auto store = Store::open(scene_.memory.host, world.store_path())) {
    const auto root = must(scene_.memory.host.open_root(world.target()));
    const Control control{world.progress, world.stop};
    const ApplyOptions options{{(*store)->recovery()}, 1u << 20, "remediate test"};
    const auto attempt = [&](const std::string& verb, const Result<RunReport>& result) {
      if (result || !changed.empty())
        miss(kind, change + ": " + verb + " was not refused, first call: " + changed);
      else
        ++of(kind).refused;
      changed.clear();
    };
    attempt("rollback", rollback(scene_.memory.host, **store, *root, scene_.run, {}, control));
    attempt("finalize", finalize(scene_.memory.host, **store, *root, scene_.run, options, control));
    // A stopped run's resume writes its manifest anew, from the journal.
    const bool provisional =
        scene_.stopped && (kind == Kind::manifest || kind == Kind::manifest_signature);
    if (resume_too && !provisional)
      attempt("resume", resume(scene_.memory.host, **store, *root, scene_.run, options, control));
  } else {
    ++of(kind).refused;
  }
  scene_.memory.host.set_fault_hook({});
}

Row Sweep::total() const {
  Row all;
  for (const Row& row : rows_) {
    all.tried += row.tried;
    all.found += row.found;
    all.told += row.told;
    all.witnessed += row.witnessed;
    all.missed += row.missed;
    all.refused += row.refused;
  }
  return all;
}

void Sweep::print(const std::string& title, double seconds) const {
  const auto line = [](std::string_view name, const Row& row) {
    std::cout << name << ": " << row.tried << " changes, " << row.found << " found, " << row.told
              << " told (no evidence), " << row.witnessed << " found by the witness, " << row.missed
              << " missed; " << row.refused << " refusals";
  };
  for (std::size_t kind = 0; kind < rows_.size(); ++kind)
    if (rows_[kind].tried != 0) {
      line("  " + std::string(kind_name(static_cast<Kind>(kind))), rows_[kind]);
      std::cout << "\n";
    }
  line("tamper sweep, " + title, total());
  std::cout << ", " << std::fixed << std::setprecision(1) << seconds << " s" << std::endl;
  for (const std::string& miss : misses_) std::cout << "  MISSED " << miss << "\n";
}

void sweep_bytes(Sweep& sweep) {
  for (const Place& place : sweep.scene().files) {
    FileSweep(sweep, place).run();
    if (limits().full)
      std::cout << "  " << place.shown() << " done, " << sweep.total().tried << " changes, "
                << sweep.total().missed << " missed" << std::endl;
  }
  exchange_together(sweep, {Kind::manifest, Kind::manifest_signature}, "manifest with signature");
  exchange_together(sweep, {Kind::head, Kind::head_signature}, "head with signature");
  exchange_together(sweep, {Kind::plan, Kind::approval}, "plan with approvals");
  exchange_together(sweep, {Kind::journal, Kind::head, Kind::head_signature}, "journal with head");
}

void sweep_modes(Sweep& sweep) {
  Scene& scene = sweep.scene();
  for (const Place& place : scene.files) {
    if (place.kind == Kind::held) continue;  // has its own mode, compared with what was recorded
    const auto file = must(scene.folder(place)->open_file(place.name, host::Access::read_write));
    const Metadata good = must(file->metadata());
    const auto set = [&](const Metadata& metadata) {
      REQUIRE(must(file->restore_metadata(metadata, host::Privileges::keep)).empty());
    };
    for (const std::uint32_t bits : {02u, 020u, 0666u, 04777u}) {
      Metadata open = good;
      open.stat.mode |= bits;
      set(open);
      sweep.judge(place.kind, place.shown() + ": mode");
    }
    Metadata given = good;
    given.stat.owner = 33;
    set(given);
    sweep.judge(place.kind, place.shown() + ": owner");
    set(good);
  }
}

}  // namespace remediate::run::test
