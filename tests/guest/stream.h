/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP connection over a NIC that was passed through to the guest, with igb:
 * hlu.nic_ip= is the NIC's address, hlu.stream= the peer's. The peer sends bytes
 * that tell their place; each is looked at and sent back.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>

/* Before the first fork. */
void stream_start(void);

/* Without end; without hlu.stream= nothing happens. */
_Noreturn void stream_work(void);

/*
 * Numbers for an answer:
 *
 *   stream_bytes      received and sent back
 *   stream_wrong      not those that belong there
 *   stream_calls      connections that were made: 1
 *   stream_retrans    segments that the guest sent again on this connection
 *   stream_gap_ms     the longest time without a byte
 *   tcp_timeouts      retransmission timeouts of all of the guest's connections
 */
size_t stream_answer(char *text, size_t size);

#endif
