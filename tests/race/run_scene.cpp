#include "tests/race/run_scene.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace race {
namespace {

namespace fs = std::filesystem;
using run::State;
using run::test::must;

constexpr int patience = 200'000;
constexpr std::uint64_t journal_reserve = 4096;
constexpr const char* shell_address = "www/sub/shell-b.php";

}  // namespace

RunScene::RunScene(const std::string& folder, Begin begin)
    : base_(folder),
      world_(std::make_unique<run::test::World>(*host_, base_.path())),
      control_{world_->progress, stop_} {
  world_->make_store(run::test::keys().store);
  world_->folder("www/sub");
  world_->folder("www/decoy");
  world_->file(shell_address, std::string(9000, 'b'), 0640);
  fs::create_directory(at("outside"));
  good = Watched(at("target/www/sub/good.php"), "a good file\n");
  third = Watched(at("target/www/sub/third.php"), "another good file\n");
  outside = Watched(at("outside/kept"), "outside the root\n");
  shell = Watched(at(std::string("target/") + shell_address));
  fs::create_directory_symlink(at("outside"), at("target/www/evil"));
  fs::create_symlink(at("outside/kept"), at("target/www/sub/symbolic.php"));
  fs::create_hard_link(at("outside/kept"), at("target/www/sub/hard.php"));
  www = open_folder(at("target/www"));
  sub = open_folder(at("target/www/sub"));

  const remediate::plan::PlanFile plan = world_->plan();
  std::string run_name = run::run_name(plan.plan);
  if (begin != Begin::planned) REQUIRE(must(world_->apply(plan)).run == run_name);
  if (begin == Begin::finalized) must(world_->finalize(run_name));
  store_ = world_->open_store();
  root_ = must(host_->open_root(world_->target()));
  run_ = std::make_unique<run::Run>(
      begin == Begin::planned ? must(run::fold(plan, {})) : must(run::load_run(*store_, run_name)));
  run_->name = run_name;
  if (run_->boot.empty()) run_->boot = host_->identity().boot_id;
  const auto found = std::ranges::find_if(run_->operations, [](const run::OperationState& one) {
    return one.operation->address == shell_address;
  });
  REQUIRE(found != run_->operations.end());
  operation_ = &*found;
  held_name_ = operation_->operation->id;
  scratch_ = must(host_->make_root(at("scratch")));
  renew_session();
  REQUIRE(session_->hold(*must(root_->open_directory(*remediate::RawPath::parse("www/sub"),
                                                     remediate::host::Mounts::cross))));
  hold = open_folder(at("store/hold/" + run_name));
}

RunScene::~RunScene() {
  for (const int folder : {www, sub, hold}) close(folder);
}

void RunScene::renew_session() {
  session_.reset();
  journal_.reset();
  (void)scratch_->remove_file("journal");
  journal_ = std::make_unique<remediate::journal::Journal>(
      must(remediate::journal::Journal::create(*scratch_, "journal", journal_reserve, *host_)));
  session_ = std::make_unique<run::Session>(*host_, *store_, *root_, *run_, *journal_, control_);
  session_->recipients = {store_->recovery()};
  session_->max_sealed_bytes = 1u << 20;
}

void RunScene::remove() {
  run::OperationState& operation = *operation_;
  const remediate::plan::Operation* planned = operation.operation;
  operation = {};
  operation.operation = planned;
  run::OperationState* batch[] = {&operation};
  must(run::remove_files(*session_, batch));
}

void RunScene::restore(const run::RollbackOptions& options) {
  session_->undoing = true;
  if (operation_->state != State::restoring) {
    operation_->before_restore = operation_->entry.object.empty() ? State::done : operation_->state;
    if (operation_->before_restore == State::restored)
      operation_->before_restore = options.recovery ? State::finalized : State::done;
    operation_->state = State::restoring;
  }
  run::OperationState* batch[] = {operation_};
  must(run::restore_files(*session_, options, batch));
}

bool RunScene::shell_is_held() const { return inode_at(hold, held_name_.c_str()) == shell.inode(); }

/// By rename, and judged where nobody else can reach it, as the tool does it.
bool RunScene::take(ino_t wanted, int from, int into, const char* as) const {
  constexpr std::array names = {name, "good.php", "third.php"};
  for (int tries = 0; tries < patience; ++tries) {
    const ino_t taken = inode_at(into, as);
    if (taken == wanted) return true;
    for (const char* candidate : names) {
      if (taken != 0)
        move(into, as, from, candidate);  // another file came along: to any name that is free
      else if (inode_at(from, candidate) == wanted && move(from, candidate, into, as))
        break;
    }
  }
  return false;
}

bool RunScene::shell_to_hold() const { return take(shell.inode(), sub, hold, held_name_.c_str()); }

bool RunScene::shell_to_place() const {
  for (int tries = 0; tries < patience; ++tries) {
    if (inode_at(hold, held_name_.c_str()) == 0) return true;
    if (move(hold, held_name_.c_str(), sub, name)) return true;
  }
  return false;
}

void RunScene::settle(Tally& tally) const {
  for (const Watched* file : {&shell, &good, &third})
    if (!file->whole()) ++tally.lost;
  if (!outside.whole(2) || entries(at("outside")) != 1 ||
      inode_at(at("outside/kept")) != outside.inode())
    ++tally.escapes;
  if (entries(at("target/www/decoy")) != 0) ++tally.wrong;
}

void RunScene::drop_objects() const {
  for (const auto& entry : fs::directory_iterator(at("store/objects"))) fs::remove(entry.path());
}

}  // namespace race
