#include "survey.h"

namespace remediate::plan::test {

TEST_CASE("an empty policy is the embedded one", "[policy]") {
  const Policy policy = must(parse_policy(R"({"format_version": 1})", "policy.json"));
  const Policy embedded;
  CHECK(policy.threshold == 0);
  CHECK(policy.max_files == 50);
  CHECK(policy.max_percent == 1);
  CHECK(policy.max_files_per_indicator == embedded.max_files_per_indicator);
  CHECK(policy.max_settings == embedded.max_settings);
  CHECK(policy.small_scope_files == embedded.small_scope_files);
  CHECK(policy.plan_lifetime_hours == embedded.plan_lifetime_hours);
  CHECK(policy.max_sealed_bytes == embedded.max_sealed_bytes);
  CHECK_FALSE(policy.allow_hard_links);
}

TEST_CASE("every field of a policy is read", "[policy]") {
  const Policy policy = must(parse_policy(R"({
    "format_version": 1,
    "approval": {"approvers": ["a.crt", "b.crt"], "threshold": 2, "plan_lifetime_hours": 5},
    "limits": {"max_files": 7, "max_files_per_indicator": 6, "max_settings": 5, "max_percent": 4,
               "small_scope_files": 3},
    "vault": {"recovery": ["r.crt"], "max_sealed_bytes": 65536},
    "allowed_roots": ["/srv"], "protected": ["x/**"], "allowed_filesystems": ["zfs"],
    "allow_hard_links": true})",
                                          "policy.json"));
  CHECK(policy.approver_files == std::vector<std::string>{"a.crt", "b.crt"});
  CHECK(policy.threshold == 2);
  CHECK(policy.plan_lifetime_hours == 5);
  CHECK(policy.max_files == 7);
  CHECK(policy.max_files_per_indicator == 6);
  CHECK(policy.max_settings == 5);
  CHECK(policy.max_percent == 4);
  CHECK(policy.small_scope_files == 3);
  CHECK(policy.recovery_files == std::vector<std::string>{"r.crt"});
  CHECK(policy.max_sealed_bytes == 65536);
  CHECK(policy.allowed_roots == std::vector<std::string>{"/srv"});
  CHECK(policy.protected_globs == std::vector<std::string>{"x/**"});
  CHECK(policy.allowed_filesystems == std::vector<std::string>{"zfs"});
  CHECK(policy.allow_hard_links);
  CHECK(filesystem_supported("zfs", policy));
  CHECK(filesystem_supported("ext4", policy));
  CHECK_FALSE(filesystem_supported("nfs", policy));
}

TEST_CASE("a policy that is not understood is refused by place", "[policy]") {
  const auto [text, place] = GENERATE(table<std::string, std::string>({
      {R"([])", ""},
      {R"({})", "format_version"},
      {R"({"format_version": 2})", "format_version"},
      {R"({"format_version": 1, "limit": {}})", "limit"},
      {R"({"format_version": 1, "limits": {"max_file": 1}})", "max_file"},
      {R"({"format_version": 1, "limits": {"max_percent": 101}})", "/limits/max_percent"},
      {R"({"format_version": 1, "limits": {"max_files": -1}})", "max_files"},
      {R"({"format_version": 1, "limits": {"max_files": "7"}})", "max_files"},
      {R"({"format_version": 1, "limits": {"max_files": 1.5}})", "max_files"},
      {R"({"format_version": 1, "limits": {"max_files": 1, "max_files": 2}})", "max_files"},
      {R"({"format_version": 1, "approval": {"approvers": ["a"], "threshold": 0}})", "threshold"},
      {R"({"format_version": 1, "approval": {"approvers": ["a"], "threshold": 2}})", "threshold"},
      {R"({"format_version": 1, "approval": {}})", "approvers"},
      {R"({"format_version": 1, "approval": {"approvers": [""]}})", "approvers"},
      {R"({"format_version": 1, "approval": {"approvers": ["a"], "plan_lifetime_hours": 0}})",
       "plan_lifetime_hours"},
      {R"({"format_version": 1, "vault": {"max_sealed_bytes": 1}})", "max_sealed_bytes"},
      {R"({"format_version": 1, "allowed_roots": ["srv"]})", "allowed_roots"},
      {R"({"format_version": 1, "protected": [7]})", "protected"},
      {R"({"format_version": 1, "allow_hard_links": 1})", "allow_hard_links"},
      {R"({"format_version": 1} x)", ""},
  }));
  INFO(text);
  const auto policy = parse_policy(text, "policy.json");
  REQUIRE_FALSE(policy);
  INFO(policy.error().text());
  CHECK(policy.error().code == Code::bad_input);
  CHECK(policy.error().text().find(place) != std::string::npos);
}

}  // namespace remediate::plan::test
