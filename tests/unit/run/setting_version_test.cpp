#include "remediate/run/setting_version.h"

#include <functional>
#include <vector>

#include "remediate/crypto/digest.h"
#include "rich_world.h"

// A version is made only as it was approved: whatever of the plan does not fit the file, or is of
// no version of the tool, ends it before anything is written.

namespace remediate::run::test {
namespace {

struct Versions : RichWorld {
  [[nodiscard]] plan::Operation of(plan::Action action) const {
    for (const plan::Operation& one : plan.plan.operations)
      if (one.action == action && !one.setting.directory) return one;
    FAIL("the plan has none");
    return {};
  }
  std::unique_ptr<host::Directory> root = must(host.open_root(world->target()));
  plan::Operation reset = of(plan::Action::reset_setting);
  plan::Operation replace = of(plan::Action::replace_file);
  std::string bytes = world->read(setting_file);
};

}  // namespace

TEST_CASE("a change that is not as it was approved makes no version", "[setting_version]") {
  Versions rich;
  const std::string after = must(edit_version(*rich.root, rich.reset, rich.bytes));
  CHECK(crypto::sha256_hex(after) == rich.reset.setting.after_sha256);
  CHECK(check_difference(rich.reset, rich.bytes, after));
  CHECK(must(undo_version(rich.reset, rich.bytes, after, after)) == rich.bytes);

  struct Wrong {
    Code code;
    std::function<void(plan::Operation&)> change;
  };
  const std::vector<Wrong> all = {
      {Code::bad_input, [](plan::Operation& one) { one.setting.provider = "another"; }},
      {Code::bad_input, [](plan::Operation& one) { one.setting.edits[0].kind = "another"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.after_sha256[0] ^= 1; }},
      {Code::changed, [](plan::Operation& one) { one.setting.diff += "x"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences.clear(); }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences[0].kind = "added"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences[0].address += "x"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences[0].attribute += "x"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences[0].before += "x"; }},
      {Code::changed, [](plan::Operation& one) { one.setting.differences[0].after += "x"; }},
  };
  for (const Wrong& wrong : all) {
    plan::Operation one = rich.reset;
    wrong.change(one);
    const auto made = edit_version(*rich.root, one, rich.bytes);
    REQUIRE_FALSE(made);
    INFO(made.error().text());
    CHECK(made.error().code == wrong.code);
    CHECK_FALSE(made.error().text().empty());
  }
  // Another kind of change than the approved one gives other bytes, or cannot be made.
  for (const char* kind : {"remove_attribute", "set_attribute"}) {
    plan::Operation one = rich.reset;
    one.setting.edits[0].kind = kind;
    one.setting.edits[0].attribute = "physicalPath";
    one.setting.edits[0].value = "C:\\elsewhere";
    CHECK(edit_version(*rich.root, one, rich.bytes).error().code == Code::changed);
  }
  plan::Operation unknown = rich.reset;
  unknown.setting.provider = "another";
  CHECK(check_difference(unknown, rich.bytes, after).error().code == Code::bad_input);
  CHECK(undo_version(unknown, rich.bytes, after, after).error().code == Code::bad_input);
  CHECK_FALSE(check_difference(rich.reset, rich.bytes, "no configuration <"));
  CHECK(check_difference(rich.reset, after, rich.bytes).error().code == Code::changed);
  CHECK_FALSE(undo_version(rich.reset, rich.bytes, after, "no configuration <"));
  CHECK_FALSE(edit_version(*rich.root, rich.reset, "no configuration <"));
}

TEST_CASE("a baseline that is gone or was changed resets nothing", "[setting_version]") {
  Versions rich;
  rich.world->file("etc-iis/baseline.config", "<configuration/>");
  plan::Operation one = rich.reset;
  plan::SettingEdit& edit = one.setting.edits[0];
  edit.kind = "reset_to_baseline";
  edit.baseline = must(RawPath::parse("etc-iis/baseline.config"));
  edit.baseline_sha256 = rich.world->sha256("etc-iis/baseline.config");
  one.setting.edits.push_back(edit);  // looked at once
  CHECK(check_baselines(*rich.root, one));
  {
    const Before before(rich.host, "read_at", "baseline.config",
                        [] { return Error{Code::io, "injected fault", ""}; });
    CHECK(check_baselines(*rich.root, one).error().code == Code::io);
  }
  // A baseline without the element takes it away: the very bytes that were approved.
  CHECK(crypto::sha256_hex(must(edit_version(*rich.root, one, rich.bytes))) ==
        rich.reset.setting.after_sha256);
  rich.world->remove("etc-iis/baseline.config");
  rich.world->file("etc-iis/baseline.config", "<configuration><other/></configuration>");
  CHECK(check_baselines(*rich.root, one).error().code == Code::changed);
  CHECK(edit_version(*rich.root, one, rich.bytes).error().code == Code::changed);
  rich.world->remove("etc-iis/baseline.config");
  CHECK(check_baselines(*rich.root, one).error().code == Code::not_found);
  one.setting.edits[1].baseline = one.setting.edits[0].baseline =
      must(RawPath::parse("nowhere/baseline.config"));
  CHECK(check_baselines(*rich.root, one).error().code == Code::not_found);
}

TEST_CASE("a replaced file is the known good version or the one before", "[setting_version]") {
  Versions rich;
  CHECK(must(edit_version(*rich.root, rich.replace, bad_page)) == good_page);
  CHECK(check_difference(rich.replace, bad_page, "another").error().code == Code::changed);
  CHECK(must(undo_version(rich.replace, bad_page, good_page, good_page)) == bad_page);
  CHECK(must(undo_version(rich.replace, bad_page, good_page, bad_page)) == bad_page);
  CHECK(undo_version(rich.replace, bad_page, good_page, "another").error().code == Code::conflict);
  plan::Operation forged = rich.replace;
  forged.replacement.bytes = "another";
  CHECK(edit_version(*rich.root, forged, bad_page).error().code == Code::changed);
}

TEST_CASE("a version that cannot be made whole has no name", "[setting_version]") {
  Versions rich;
  const auto file =
      must(rich.root->open_directory(must(RawPath::parse("etc-iis")), host::Mounts::cross));
  const Metadata metadata =
      must(must(file->open_file("applicationHost.config", host::Access::read))->metadata());
  const Snapshot before = rich.world->snapshot();
  std::size_t failed = 0;
  for (std::size_t at = 0; at < 20; ++at) {
    std::size_t count = 0;
    rich.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    });
    const auto built = build_version(rich.host, *file, rich.bytes, metadata);
    rich.host.set_fault_hook({});
    CHECK(built.has_value() == (count <= at));
    failed += built ? 0 : 1;
  }
  CHECK(failed >= 3);
  CHECK(difference(before, rich.world->snapshot()).empty());
}

}  // namespace remediate::run::test
