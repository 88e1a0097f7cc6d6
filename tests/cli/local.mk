# tests/cli/ - the command `holdfast`: arguments, messages, exit codes, piping
cli_tests = \
	tests/cli/arguments.sh \
	tests/cli/init.sh \
	tests/cli/allow.sh \
	tests/cli/publish.sh \
	tests/cli/lines.sh \
	tests/cli/batch.sh \
	tests/cli/tail.sh \
	tests/cli/history.sh \
	tests/cli/sidecar.sh \
	tests/cli/status.sh \
	tests/cli/prune.sh \
	tests/cli/redact.sh \
	tests/cli/backup.sh \
	tests/cli/move.sh \
	tests/cli/check.sh \
	tests/cli/check_config.sh \
	tests/cli/doctor.sh \
	tests/cli/rescue.sh \
	tests/cli/token.sh \
	tests/cli/units.sh \
	tests/cli/tokens_doc.sh \
	tests/cli/completion.sh \
	tests/cli/logrotate.sh \
	tests/cli/man.sh
TESTS += $(cli_tests)
EXTRA_DIST += $(cli_tests) tests/lib.sh
