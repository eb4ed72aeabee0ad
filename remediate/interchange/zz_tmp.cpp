namespace remediate::interchange {
void placeholder_for_configure();
void placeholder_for_configure() {}
}  // namespace remediate::interchange
