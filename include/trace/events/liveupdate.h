/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM liveupdate

#if !defined(_TRACE_LIVEUPDATE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_LIVEUPDATE_H

#include <linux/device.h>
#include <linux/liveupdate_host.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(LIVEUPDATE_STATE_NORMAL);
TRACE_DEFINE_ENUM(LIVEUPDATE_STATE_PREPARED);
TRACE_DEFINE_ENUM(LIVEUPDATE_STATE_UPDATED);

#define show_liveupdate_state(state)					\
	__print_symbolic(state,						\
			 { LIVEUPDATE_STATE_NORMAL,	"normal" },	\
			 { LIVEUPDATE_STATE_PREPARED,	"prepared" },	\
			 { LIVEUPDATE_STATE_UPDATED,	"updated" })

TRACE_EVENT(liveupdate_state,
	TP_PROTO(enum liveupdate_state from, enum liveupdate_state to),
	TP_ARGS(from, to),
	TP_STRUCT__entry(
		__field(int, from)
		__field(int, to)
	),
	TP_fast_assign(
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("%s -> %s", show_liveupdate_state(__entry->from),
		  show_liveupdate_state(__entry->to))
);

TRACE_EVENT(liveupdate_call_start,
	TP_PROTO(const char *subsystem, const char *event),
	TP_ARGS(subsystem, event),
	TP_STRUCT__entry(
		__string(subsystem, subsystem)
		__string(event, event)
	),
	TP_fast_assign(
		__assign_str(subsystem);
		__assign_str(event);
	),
	TP_printk("%s %s", __get_str(event), __get_str(subsystem))
);

TRACE_EVENT(liveupdate_call_end,
	TP_PROTO(const char *subsystem, const char *event, int err),
	TP_ARGS(subsystem, event, err),
	TP_STRUCT__entry(
		__string(subsystem, subsystem)
		__string(event, event)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(subsystem);
		__assign_str(event);
		__entry->err = err;
	),
	TP_printk("%s %s err=%d", __get_str(event), __get_str(subsystem),
		  __entry->err)
);

/* One callback of a device; @part is "driver" or "bus". */
TRACE_EVENT(liveupdate_device,
	TP_PROTO(const char *event, struct device *dev, const char *part,
		 int err),
	TP_ARGS(event, dev, part, err),
	TP_STRUCT__entry(
		__string(event, event)
		__string(device, dev_name(dev))
		__string(part, part)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(event);
		__assign_str(device);
		__assign_str(part);
		__entry->err = err;
	),
	TP_printk("%s %s %s err=%d", __get_str(event), __get_str(device),
		  __get_str(part), __entry->err)
);

TRACE_EVENT(liveupdate_stamp,
	TP_PROTO(const char *name, u64 tsc),
	TP_ARGS(name, tsc),
	TP_STRUCT__entry(
		__string(name, name)
		__field(u64, tsc)
	),
	TP_fast_assign(
		__assign_str(name);
		__entry->tsc = tsc;
	),
	TP_printk("%s tsc=%llu", __get_str(name), __entry->tsc)
);

#endif /* _TRACE_LIVEUPDATE_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
