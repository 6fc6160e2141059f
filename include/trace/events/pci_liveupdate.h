/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM liveupdate

#if !defined(_TRACE_PCI_LIVEUPDATE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PCI_LIVEUPDATE_H

#include <linux/tracepoint.h>

TRACE_EVENT(liveupdate_config_write,
	TP_PROTO(const char *device, int where, int size, u32 val),

	TP_ARGS(device, where, size, val),

	TP_STRUCT__entry(
		__string(device, device)
		__field(int, where)
		__field(int, size)
		__field(u32, val)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->where = where;
		__entry->size = size;
		__entry->val = val;
	),

	TP_printk("%s where=%#x size=%d val=%#x", __get_str(device),
		  __entry->where, __entry->size, __entry->val)
);

#endif /* _TRACE_PCI_LIVEUPDATE_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE pci_liveupdate
#include <trace/define_trace.h>
