#pragma once

#include "remediate/playbook/diagnostics.h"

/// The rules by name, for the sources that report them. A new one also goes into rules.cpp,
/// docs/playbook-diagnostics.md and a golden case.
namespace remediate::playbook::rule {

inline constexpr Rule file_too_large{"PB001", "the file is larger than 16 MiB"};
inline constexpr Rule too_deep{"PB002", "values are nested deeper than 64 levels"};
inline constexpr Rule too_many_values{"PB003", "the file holds more than 1,000,000 values"};
inline constexpr Rule syntax{"PB004", "the file is not JSON"};
inline constexpr Rule duplicate_key{"PB005", "a key occurs twice in one object"};
inline constexpr Rule trailing_bytes{"PB006", "bytes follow the document"};
inline constexpr Rule not_utf8{"PB007", "the file is not UTF-8 without a byte order mark"};
inline constexpr Rule bad_number{"PB008", "a number is not a 64-bit integer"};
inline constexpr Rule more_errors{"PB009", "there are more errors than are shown"};

inline constexpr Rule missing_key{"PB010", "a required key is missing"};
inline constexpr Rule unknown_key{"PB011", "a key is not known at this place"};
inline constexpr Rule wrong_type{"PB012", "a value has the wrong JSON type"};
inline constexpr Rule empty_text{"PB013", "a text is empty"};
inline constexpr Rule text_too_long{"PB014", "a text is longer than its bound"};
inline constexpr Rule bad_choice{"PB015", "a value is none of the allowed words"};
inline constexpr Rule empty_list{"PB016", "a list is empty"};
inline constexpr Rule out_of_range{"PB017", "a number is outside its bounds"};
inline constexpr Rule too_many_items{"PB018", "a list holds more items than allowed"};
inline constexpr Rule control_character{"PB019", "a text holds a control character"};

inline constexpr Rule format_version{"PB020", "the format version is not supported"};
inline constexpr Rule playbook_id{"PB021", "the playbook's id is not playbook--UUID"};
inline constexpr Rule bad_date{"PB022", "a date is not a real UTC time"};
inline constexpr Rule dates_out_of_order{"PB023", "dates contradict each other"};
inline constexpr Rule bad_id{"PB024", "an id is malformed"};
inline constexpr Rule duplicate_id{"PB025", "an id is used twice"};
inline constexpr Rule bad_technique{"PB026", "an ATT&CK technique id is malformed"};
inline constexpr Rule bad_url{"PB027", "a reference's url is not http or https"};

inline constexpr Rule bad_variable_name{"PB030", "a variable's name is malformed"};
inline constexpr Rule builtin_variable{"PB031", "a variable redefines one that the host has"};
inline constexpr Rule bad_variable_value{"PB032", "a variable's value is not an absolute folder"};
inline constexpr Rule unknown_variable{"PB033", "a variable is not defined"};
inline constexpr Rule variable_joined{"PB034", "a variable's value and what follows run together"};

inline constexpr Rule empty_scope{"PB040", "a scope has no folder"};
inline constexpr Rule root_folder{"PB041", "a folder is the root of a file system"};
inline constexpr Rule relative_folder{"PB042", "a folder is not absolute"};
inline constexpr Rule dot_component{"PB043", "a path has a '.', '..' or empty component"};
inline constexpr Rule folder_character{"PB044",
                                       "a path holds a wildcard or a character no path has"};
inline constexpr Rule mixed_spelling{"PB045", "Windows and POSIX spelling are mixed"};
inline constexpr Rule network_folder{"PB046", "a folder is on the network or a device"};
inline constexpr Rule empty_include{"PB047", "a scope includes nothing"};
inline constexpr Rule bad_glob{"PB048", "a glob is malformed"};
inline constexpr Rule dangling_scope{"PB049", "an indicator names a scope that does not exist"};

inline constexpr Rule one_key{"PB050", "a match node does not have exactly one key"};
inline constexpr Rule unknown_matcher{"PB051", "a match node's key is no matcher"};
inline constexpr Rule match_too_deep{"PB052", "match nodes are nested deeper than 16"};
inline constexpr Rule bad_digest{"PB053", "a digest is malformed"};
inline constexpr Rule trivial_digest{"PB054", "a digest belongs to an empty or newline-only file"};
inline constexpr Rule too_many_digests{"PB055", "the playbook holds more than 100,000 digests"};
inline constexpr Rule bad_size{"PB056", "a size range is empty or says nothing"};
inline constexpr Rule bad_hex{"PB057", "a magic is not hexadecimal"};
inline constexpr Rule regex_length{"PB058", "a regular expression is too short or too long"};
inline constexpr Rule regex_matches_all{"PB059", "a regular expression matches everything"};
inline constexpr Rule regex_syntax{"PB060", "a regular expression is not RE2 syntax"};
inline constexpr Rule unknown_structure{"PB061", "a structure is not known"};
inline constexpr Rule yara_source{"PB062", "YARA source has no rule or includes a file"};
inline constexpr Rule no_evidence{"PB063", "an indicator would remove without content evidence"};
inline constexpr Rule match_or_setting{"PB064",
                                       "an indicator has not exactly one of match and setting"};
inline constexpr Rule excluded_digest{"PB065", "a digest is both matched and excluded"};

inline constexpr Rule unknown_provider{"PB070", "a setting provider is not known"};
inline constexpr Rule unknown_setting{"PB071", "a setting kind is not known to its provider"};
inline constexpr Rule setting_path{"PB072", "a setting's path does not fit its kind"};
inline constexpr Rule attribute_test{"PB073", "an attribute test is contradictory or says nothing"};
inline constexpr Rule setting_without_test{"PB074",
                                           "a setting would be changed without an attribute test"};

inline constexpr Rule unknown_action{"PB080", "an action is not known"};
inline constexpr Rule dangling_indicator{"PB082", "a step names an indicator that does not exist"};
inline constexpr Rule review_acted{"PB083",
                                   "an acting step uses an indicator that only authorises review"};
inline constexpr Rule needs_file{"PB084",
                                 "a step that removes or replaces files uses a setting indicator"};
inline constexpr Rule needs_setting{"PB085", "a reset_setting step uses a file indicator"};
inline constexpr Rule unknown_change{"PB086", "a change kind is not known"};
inline constexpr Rule change_fields{"PB087", "a change's fields do not fit its kind"};
inline constexpr Rule repeated_reference{"PB088", "a reference is repeated"};
inline constexpr Rule change_provider{"PB089", "a change does not fit the provider of its setting"};
inline constexpr Rule known_good_name{"PB090", "the name of a known good file is no plain name"};

inline constexpr Rule unused_scope{"PW001", "no indicator uses a scope"};
inline constexpr Rule unused_indicator{"PW002",
                                       "no step acts on an indicator that authorises removal"};
inline constexpr Rule unused_variable{"PW003", "nothing uses a variable"};
inline constexpr Rule file_before_setting{"PW004",
                                          "a setting is reset after files were quarantined"};
inline constexpr Rule generic_content{"PW005", "an indicator would remove by generic content"};

}  // namespace remediate::playbook::rule
