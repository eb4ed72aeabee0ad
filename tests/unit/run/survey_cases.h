#pragma once

#include <functional>

#include "survey_world.h"

namespace remediate::run::test {

using Change = std::function<void(SurveyWorld&)>;

struct Case {
  const char* name;
  Change before;
  std::string told;                 // part of an issue, or of the error where no plan is made
  std::vector<std::string> kept{};  // changes of the whole plan that are not made then
  std::size_t more = 0;             // changes besides
};

inline const std::string config = std::string(system_folder) + "/applicationHost.config";
inline const std::string redirector = std::string(system_folder) + "/redirection.config";
inline const std::string clean = "clean/applicationHost.config";
inline const std::string ini = "inetpub/wwwroot/.user.ini";
inline const std::string record = std::string(compiled_folder) + "/x.aspx.1.compiled";
inline const std::string assembly = std::string(compiled_folder) + "/App_Web_x.dll";

inline const std::string takes_line_out = "reset_setting " + ini;
inline const std::string resets = "reset_setting " + config;
inline const std::string removes_page = "quarantine " + std::string(web_page);
inline const std::string removes_record = "quarantine " + record;
inline const std::string removes_assembly = "quarantine " + assembly;
inline const std::string puts_back = "replace_file inetpub/wwwroot/app/page.aspx";
inline const std::vector<std::string> page_and_line = {takes_line_out, removes_page, removes_record,
                                                       removes_assembly};
inline const std::vector<std::string> compiled_form = {removes_record, removes_assembly};

/// Calls of this kind on an entry of this name fail; `from` of them do not, and `count` do.
[[nodiscard]] Change failing(const std::string& operation, const std::string& name,
                             std::size_t count = 1000, std::size_t from = 0, Code code = Code::io);
[[nodiscard]] Change writing(const std::string& path, const std::string& bytes);
[[nodiscard]] Change both(const Change& first, const Change& second);
[[nodiscard]] Change links_to(const std::string& path, const std::string& target);

/// Each is told, and of the changes of the whole plan just those are missing that are to be.
void check(const std::vector<Case>& cases);

}  // namespace remediate::run::test
