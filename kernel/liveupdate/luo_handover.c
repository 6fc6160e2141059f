// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update handover page
 *
 * What subsystems hand to the next kernel is listed in one page, see
 * include/linux/kho/abi/luo_host.h.
 *
 * Lifecycle: the outgoing kernel allocates the page at boot and adds it to the
 * KHO tree while it still says "no update"; luo_handover_seal() fills it inside
 * reboot(2). The incoming kernel verifies the page once, and each payload when
 * its subsystem asks for it.
 *
 * Unhappy paths, each with an errno of its own:
 *
 *	-EBADMSG	magic or the page's checksum is wrong
 *	-EPROTONOSUPPORT	page or payload has a version not understood here
 *	-EOVERFLOW	more payloads than the page has room for
 *	-EMSGSIZE	a payload's length is out of bounds
 *	-EFAULT		a payload's address is not preserved memory
 *	-EILSEQ		a payload's checksum is wrong
 *	-ENOENT		nobody handed this over
 *
 * A payload that does not verify costs its own subsystem; the others go on.
 */

#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "luo_host.h"

static u32 luo_handover_crc(const struct luo_host_ser *ser)
{
	size_t from = offsetof(struct luo_host_ser, state);
	size_t to = offsetof(struct luo_host_ser, payloads[ser->count]);

	return crc32_le(~0, (const u8 *)ser + from, to - from);
}

/**
 * luo_handover_init - An empty page that says "no update".
 * @ser: The page. Its timeline address is kept.
 *
 * Context: Any.
 */
void luo_handover_init(struct luo_host_ser *ser)
{
	u64 timeline_pa = ser->timeline_pa;

	memset(ser, 0, sizeof(*ser));
	strscpy(ser->compatible, LUO_HOST_ABI_COMPATIBLE);
	ser->magic = LUO_HOST_MAGIC;
	ser->state = LUO_HOST_SER_NONE;
	ser->timeline_pa = timeline_pa;
	ser->crc = luo_handover_crc(ser);
}

static void luo_handover_add(struct luo_host_ser *ser,
			     const struct liveupdate_subsystem *sub)
{
	struct luo_payload_ser *payload = &ser->payloads[ser->count++];

	strscpy(payload->name, sub->name);
	strscpy(payload->compatible, sub->compatible);
	payload->pa = virt_to_phys(sub->payload);
	payload->len = sub->payload_len;
	payload->crc = crc32_le(~0, sub->payload, sub->payload_len);
}

/**
 * luo_handover_seal - Write down what every subsystem hands over.
 * @ser:        The page.
 * @subsystems: All of them, frozen.
 *
 * Context: Inside reboot(2), host state locked for writing.
 * Return: 0, or -EOVERFLOW when there are more payloads than entries.
 */
int luo_handover_seal(struct luo_host_ser *ser, struct list_head *subsystems)
{
	struct liveupdate_subsystem *sub;

	luo_handover_init(ser);
	list_for_each_entry(sub, subsystems, list) {
		if (!sub->payload)
			continue;
		if (ser->count == LUO_HOST_MAX_PAYLOADS) {
			luo_handover_init(ser);
			return -EOVERFLOW;
		}
		luo_handover_add(ser, sub);
	}
	ser->state = LUO_HOST_SER_FROZEN;
	ser->crc = luo_handover_crc(ser);

	return 0;
}

/**
 * luo_handover_verify - Whether a page can be believed.
 * @ser: The page of the outgoing kernel.
 *
 * Context: Any.
 * Return: 0 or an errno of the table above.
 */
int luo_handover_verify(const struct luo_host_ser *ser)
{
	if (ser->magic != LUO_HOST_MAGIC)
		return -EBADMSG;
	if (strncmp(ser->compatible, LUO_HOST_ABI_COMPATIBLE,
		    sizeof(ser->compatible)))
		return -EPROTONOSUPPORT;
	if (ser->count > LUO_HOST_MAX_PAYLOADS)
		return -EOVERFLOW;

	return ser->crc == luo_handover_crc(ser) ? 0 : -EBADMSG;
}

/**
 * luo_handover_find - The entry of one subsystem.
 * @ser:        A verified page.
 * @name:       The subsystem.
 * @compatible: The version that the caller understands.
 *
 * Context: Any.
 * Return: The entry, or ERR_PTR: -ENOENT, -EPROTONOSUPPORT.
 */
const struct luo_payload_ser *
luo_handover_find(const struct luo_host_ser *ser, const char *name,
		  const char *compatible)
{
	const struct luo_payload_ser *payload;
	u32 i;

	for (i = 0; i < ser->count; i++) {
		payload = &ser->payloads[i];
		if (strncmp(payload->name, name, sizeof(payload->name)))
			continue;
		if (strncmp(payload->compatible, compatible,
			    sizeof(payload->compatible)))
			return ERR_PTR(-EPROTONOSUPPORT);
		return payload;
	}

	return ERR_PTR(-ENOENT);
}

/**
 * luo_handover_check - Whether a payload can be believed.
 * @payload: Its entry.
 * @data:    Where its address is mapped.
 *
 * Context: Any. The caller has seen that the address is preserved memory.
 * Return: 0, -EMSGSIZE or -EILSEQ.
 */
int luo_handover_check(const struct luo_payload_ser *payload, const void *data)
{
	if (!payload->len || payload->len > LUO_PAYLOAD_MAX_LEN)
		return -EMSGSIZE;

	return payload->crc == crc32_le(~0, data, payload->len) ? 0 : -EILSEQ;
}
