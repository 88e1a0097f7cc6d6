# cli/ - the command `holdfast`
bin_PROGRAMS += holdfast
holdfast_SOURCES = cli/main.c
holdfast_LDADD = $(CLI_LINK)

# A library so that tests can be linked with it.
noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = \
	cli/cli.c cli/cli.h \
	cli/lines.c cli/lines.h \
	cli/pages.c cli/pages.h \
	cli/terminal.c cli/terminal.h \
	cli/allow.c \
	cli/backup.c \
	cli/check.c \
	cli/disconnect.c \
	cli/doctor.c \
	cli/front.c cli/front.h \
	cli/front_ask.c cli/front_ask.h \
	cli/explain.c cli/explain.h \
	cli/explain_polls.c cli/explain_sockets.c \
	cli/history.c \
	cli/init.c \
	cli/move.c \
	cli/prune.c \
	cli/publish.c \
	cli/redact.c \
	cli/restore.c \
	cli/sidecar.c cli/sidecar.h \
	cli/sidecar_start.c cli/sidecar_status.c cli/sidecar_stop.c \
	cli/status.c \
	cli/tail.c \
	cli/token.c \
	cli/token_keys.c cli/token_keys.h

CLI_LINK = libcli.a $(CHANNEL_LINK)
