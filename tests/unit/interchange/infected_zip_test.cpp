#include "remediate/interchange/infected_zip.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::interchange {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

struct Command {
  int status = 0;
  std::string output;
};

Command run_command(const std::string& command) {
  Command result;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe)) != 0;)
    result.output.append(buffer.data(), got);
  result.status = pclose(pipe);
  return result;
}

/// A store with a run whose originals are in the hold, each also sealed.
class World {
 public:
  World() {
    std::string pattern = fs::temp_directory_path() / "infected-zip-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
    host = host::native_host();
    root = host->make_root(folder + "/root").value();
    store = run::Store::create(*host, folder + "/store", {}).value();
    plan_.host.root = folder + "/root";
    plan_.host.name = "EX01";
    hold_ = store->vault().make_hold(*root, "run-1").value().directory;
    REQUIRE(hold_->sync());
  }
  ~World() { fs::remove_all(folder); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void capture(const std::string& path, const std::string& bytes) {
    plan::Operation operation;
    operation.id = "op-" + std::to_string(plan_.operations.size() + 1);
    operation.action = plan::Action::quarantine;
    operation.path = RawPath::parse(path).value();
    operation.address = operation.path.display();
    quarantine::Entry entry;
    entry.id = entry.hold_name = operation.id;
    entry.action = "quarantine";
    entry.path = operation.path;
    entry.sha256 = crypto::sha256_hex(bytes);
    entry.metadata.stat.size = bytes.size();
    REQUIRE(host::write_durable(*hold_, entry.hold_name, bytes));
    const auto file = hold_->open_file(entry.hold_name, host::Access::read).value();
    std::vector<quarantine::PendingObject> objects;
    objects.push_back(store->vault().seal(*file, {store->recovery()}).value());
    REQUIRE(store->vault().keep(objects));
    entry.object = objects[0].sealed.sealed_sha256;
    plan_.operations.push_back(std::move(operation));
    entries_.push_back(std::move(entry));
  }
  run::Run run(run::State state = run::State::done) const {
    run::Run made;
    made.name = "run-1";
    made.plan.plan = plan_;
    made.started = {1'767'323'100, 0};
    for (std::size_t n = 0; n < entries_.size(); ++n) {
      run::OperationState one;
      one.operation = &made.plan.plan.operations[n];
      one.state = state;
      one.entry = entries_[n];
      made.operations.push_back(std::move(one));
    }
    return made;
  }
  void lose(const std::string& id) { REQUIRE(hold_->remove_file(id)); }
  void change(const std::string& id) {
    auto file = hold_->open_file(id, host::Access::read_write).value();
    REQUIRE(file->write_at(0, "X"));
  }
  std::optional<run::Recovery> recovery() const {
    return run::Recovery{store->recovery(), store->recovery_key().value()};
  }
  Result<std::uint64_t> write(const run::Run& made, const std::optional<run::Recovery>& key = {}) {
    return write_infected_zip(*host, *store, made, zip(), key);
  }
  std::string zip() const { return folder + "/out.zip"; }
  std::size_t files_beside() const {
    std::size_t number = 0;
    for ([[maybe_unused]] const auto& one : fs::directory_iterator(folder)) ++number;
    return number;
  }

  std::string folder;
  std::unique_ptr<host::Host> host;
  std::unique_ptr<host::Directory> root;
  std::unique_ptr<run::Store> store;

 private:
  std::unique_ptr<host::Directory> hold_;
  plan::Plan plan_;
  std::vector<quarantine::Entry> entries_;
};

const std::string first_bytes = "inert sample one\n";
/// Larger than one block, and hard to compress.
std::string large_bytes() {
  std::string bytes;
  std::uint32_t state = 1;
  while (bytes.size() < 300'000) {
    state = state * 1'664'525u + 1'013'904'223u;
    bytes.push_back(static_cast<char>(state >> 24));
  }
  return bytes;
}

TEST_CASE("unzip and Python open the archive with the password, and not without") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  world.capture("b/same \xff\n.aspx", first_bytes);
  world.capture("c/large.dll", large_bytes());
  world.capture("d/empty.aspx", "");
  const auto written = world.write(world.run());
  REQUIRE(written.has_value());
  CHECK(*written == 3);
  CHECK((fs::status(world.zip()).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));

  const std::string digest = crypto::sha256_hex(first_bytes);
  const std::string large = crypto::sha256_hex(large_bytes());
  CHECK(run_command("unzip -P infected -tq '" + world.zip() + "'").status == 0);
  CHECK(run_command("unzip -P wrong -tq '" + world.zip() + "'").status != 0);
  CHECK(run_command("unzip -P infected -p '" + world.zip() + "' " + digest).output == first_bytes);
  CHECK(run_command("unzip -P infected -p '" + world.zip() + "' " + large).output == large_bytes());

  const Command python = run_command(
      "python3 -c 'import sys,zipfile,hashlib,json\n"
      "z=zipfile.ZipFile(sys.argv[1]); z.setpassword(b\"infected\"); assert z.testzip() is None\n"
      "names=z.namelist(); assert all(i.flag_bits & 1 for i in z.infolist())\n"
      "for n in names:\n"
      "  if n!=\"index.json\": assert hashlib.sha256(z.read(n)).hexdigest()==n\n"
      "j=json.loads(z.read(\"index.json\")); assert sorted(f[\"name\"] for f in "
      "j[\"files\"])==sorted(n for n in names if n!=\"index.json\")\n"
      "print(len(names), sum(len(f[\"entries\"]) for f in j[\"files\"]), "
      "z.infolist()[0].date_time)' "
      "'" +
      world.zip() + "'");
  CHECK(python.status == 0);
  CHECK(python.output == "4 4 (2026, 1, 2, 3, 5, 0)\n");
  const Command blind =
      run_command("python3 -c 'import sys,zipfile; zipfile.ZipFile(sys.argv[1]).testzip()' '" +
                  world.zip() + "'");
  CHECK(blind.status != 0);
  std::ifstream raw(world.zip(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(raw)), std::istreambuf_iterator<char>());
  CHECK(bytes.find("one.aspx") == std::string::npos);
}

TEST_CASE("what exists is never overwritten") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  std::ofstream(world.zip()) << "mine";
  const auto written = world.write(world.run());
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().code == Code::already_exists);
  std::ifstream file(world.zip());
  std::string content;
  file >> content;
  CHECK(content == "mine");
}

TEST_CASE("an original that cannot be had is named, and there is no archive") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  world.capture("b/two.aspx", "inert sample two\n");
  world.capture("c/three.aspx", "inert sample three\n");
  const std::size_t before = world.files_beside();
  world.lose("op-2");
  world.change("op-3");
  const auto written = world.write(world.run());
  REQUIRE_FALSE(written.has_value());
  REQUIRE(written.error().causes.size() == 2);
  CHECK_THAT(written.error().causes[0], Contains("op-2 b/two.aspx"));
  CHECK_THAT(written.error().causes[1], Contains("op-3 c/three.aspx"));
  CHECK_THAT(written.error().causes[1], Contains("recovery-key"));
  CHECK_FALSE(fs::exists(world.zip()));
  CHECK(world.files_beside() == before);
}

TEST_CASE("the recovery key takes originals from their sealed objects") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  world.capture("b/two.aspx", large_bytes());
  world.lose("op-1");
  world.lose("op-2");
  const run::Run run = world.run(run::State::finalized);
  CHECK_FALSE(world.write(run).has_value());
  const auto written = world.write(run, world.recovery());
  REQUIRE(written.has_value());
  CHECK(*written == 2);
  CHECK(
      run_command("unzip -P infected -p '" + world.zip() + "' " + crypto::sha256_hex(large_bytes()))
          .output == large_bytes());
}

TEST_CASE("a run that captured nothing has nothing to export") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  const auto written = world.write(world.run(run::State::not_done));
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().code == Code::not_found);
  CHECK_FALSE(fs::exists(world.zip()));
}

TEST_CASE("a path that is no file name and a folder that is missing are told apart") {
  World world;
  world.capture("a/one.aspx", first_bytes);
  const run::Run run = world.run();
  CHECK_FALSE(write_infected_zip(*world.host, *world.store, run, world.folder + "/", {}));
  const auto missing =
      write_infected_zip(*world.host, *world.store, run, world.folder + "/none/out.zip", {});
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == Code::not_found);
}

}  // namespace
}  // namespace remediate::interchange
