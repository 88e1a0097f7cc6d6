# channel/ - the protocol; no socket, no SQL
noinst_LIBRARIES += libchannel.a
libchannel_a_SOURCES = \
	channel/answered.c channel/answered.h \
	channel/asking.c channel/asking.h \
	channel/body.c channel/body.h \
	channel/check_config.c channel/check_config.h \
	channel/client.h \
	channel/common.c channel/common.h \
	channel/connect.c channel/connect.h \
	channel/connecting.c channel/connecting.h \
	channel/cursor.c channel/cursor.h \
	channel/deliver.c \
	channel/dispatch.c channel/dispatch.h \
	channel/hook_effects.c channel/hook_effects.h \
	channel/encode.c channel/encode.h \
	channel/events.c channel/events.h \
	channel/events_query.c channel/events_query.h \
	channel/doctor.c channel/doctor.h \
	channel/findings.c channel/findings.h \
	channel/front.c channel/front.h \
	channel/heads.c channel/heads.h \
	channel/host.c channel/host.h channel/host_cron.c \
	channel/holding.c channel/holding.h \
	channel/hook_answer.c channel/hook_answer.h \
	channel/hook_once.c channel/hook_once.h \
	channel/hooks.c channel/hooks.h \
	channel/hub.c channel/hub.h \
	channel/identity.c channel/identity.h \
	channel/keeper.c channel/keeper.h \
	channel/keys.c channel/keys.h \
	channel/launch.c channel/launch.h \
	channel/leases.c channel/leases.h \
	channel/libcurl.c channel/libcurl.h \
	channel/limits.h \
	channel/link.h \
	channel/longpoll.c channel/longpoll.h \
	channel/longpoll_first.c channel/longpoll_turn.c \
	channel/longpoll_hold.c \
	channel/longpoll_state.h \
	channel/losses.c channel/losses.h \
	channel/member.c \
	channel/msg.c channel/msg.h \
	channel/once.c channel/once.h \
	channel/origin.c channel/origin.h \
	channel/ondemand.c channel/ondemand.h \
	channel/owner.c channel/owner.h \
	channel/ownership.c channel/ownership.h \
	channel/page.c channel/page.h \
	channel/plain.c channel/plain.h \
	channel/post.c channel/post_state.h \
	channel/post_frames.c channel/post_hooks.c \
	channel/post_rates.c \
	channel/post_renew.c \
	channel/presence.c channel/presence.h \
	channel/process.c channel/process.h \
	channel/proto.c channel/proto.h \
	channel/proto_binary.c \
	channel/publication.c channel/publication.h \
	channel/publishing.c channel/publishing.h \
	channel/push.c \
	channel/rate.c channel/rate.h \
	channel/reaper.c \
	channel/reply.c \
	channel/report.c channel/report.h \
	channel/resume.c channel/resume.h \
	channel/rights.c channel/rights.h \
	channel/ring.c channel/ring.h \
	channel/rings.c channel/rings.h \
	channel/row.c channel/row.h \
	channel/session.c channel/session.h \
	channel/session_state.h \
	channel/stream.c channel/stream.h \
	channel/tail.c channel/tail.h \
	channel/token.c channel/token.h \
	channel/topic.c channel/topic.h \
	channel/tracker.c channel/tracker.h \
	channel/user.c channel/user.h \
	channel/waiting.c channel/waiting.h \
	channel/witness.c channel/witness.h
