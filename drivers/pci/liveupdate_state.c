// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Saved states of PCI functions in a live update
 *
 * Who hands a function to somebody else, such as vfio-pci, saves its state and
 * loads it again when it is given back. A user can stay over a live update: then
 * the saved state goes along in the record of who saved it.
 *
 * Lifecycle: pci_saved_state_pack() in the outgoing kernel,
 * pci_saved_state_unpack() in the incoming one, where pci_load_saved_state()
 * then looks whether the function has these capabilities.
 *
 * Unhappy paths: what does not verify is not unpacked; the caller goes on
 * without the saved state.
 *
 * Locking: none, these are conversions of memory that belongs to the caller.
 */

#include <linux/err.h>
#include <linux/kho/abi/pci_state.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pci.h"

static const struct pci_cap_saved_data *
next_saved(const struct pci_cap_saved_data *cap)
{
	return (const void *)cap + sizeof(*cap) + cap->size;
}

/**
 * pci_saved_state_pack - Write a saved state down.
 * @state: The state.
 * @buf:   Where to, a &struct pci_state_ser; NULL to learn the length.
 *
 * Context: Any.
 * Return: Its length.
 */
size_t pci_saved_state_pack(const struct pci_saved_state *state, void *buf)
{
	const struct pci_cap_saved_data *cap;
	struct pci_state_ser *ser = buf;
	size_t len = sizeof(*ser);

	if (ser)
		memcpy(ser->config, state->config_space, sizeof(ser->config));

	for (cap = state->cap; cap->size; cap = next_saved(cap)) {
		struct pci_cap_state_ser *cap_ser = buf + len;

		len += sizeof(*cap_ser) + cap->size;
		if (!ser)
			continue;
		cap_ser->nr = cap->cap_nr;
		cap_ser->extended = cap->cap_extended;
		cap_ser->size = cap->size;
		memcpy(cap_ser->data, cap->data, cap->size);
	}

	return len;
}

/* The capability at @pos of @len bytes, or NULL when it cannot be right. */
static const struct pci_cap_state_ser *get_cap(const void *buf, size_t pos,
					       size_t len)
{
	const struct pci_cap_state_ser *cap = buf + pos;

	if (len - pos < sizeof(*cap) || !cap->size || cap->extended > 1 ||
	    cap->size > len - pos - sizeof(*cap))
		return NULL;

	return cap;
}

/**
 * pci_saved_state_check - Whether a saved state can be unpacked.
 * @buf: The state, a &struct pci_state_ser.
 * @len: Its length.
 *
 * Context: Any.
 * Return: Whether it can.
 */
bool pci_saved_state_check(const void *buf, size_t len)
{
	const struct pci_cap_state_ser *cap;
	size_t pos;

	if (len < sizeof(struct pci_state_ser))
		return false;

	for (pos = sizeof(struct pci_state_ser); pos < len;
	     pos += sizeof(*cap) + cap->size) {
		cap = get_cap(buf, pos, len);
		if (!cap)
			return false;
	}

	return true;
}

/* Room for the state and the empty capability that ends it. */
static size_t unpacked_size(const void *buf, size_t len)
{
	size_t size = sizeof(struct pci_saved_state) +
		      sizeof(struct pci_cap_saved_data);
	const struct pci_cap_state_ser *cap;
	size_t pos;

	for (pos = sizeof(struct pci_state_ser); pos < len;
	     pos += sizeof(*cap) + cap->size) {
		cap = buf + pos;
		size += sizeof(struct pci_cap_saved_data) + cap->size;
	}

	return size;
}

/**
 * pci_saved_state_unpack - Make a saved state of what was written down.
 * @buf: The state, a &struct pci_state_ser. Need not be believed.
 * @len: Its length.
 *
 * Context: Process context, may sleep.
 * Return: The state, to be freed with kfree(), or an ERR_PTR: -EUCLEAN when
 *         @buf is no state; -ENOMEM.
 */
struct pci_saved_state *pci_saved_state_unpack(const void *buf, size_t len)
{
	const struct pci_state_ser *ser = buf;
	const struct pci_cap_state_ser *cap;
	struct pci_saved_state *state;
	struct pci_cap_saved_data *to;
	size_t pos;

	if (!pci_saved_state_check(buf, len))
		return ERR_PTR(-EUCLEAN);

	state = kzalloc(unpacked_size(buf, len), GFP_KERNEL);
	if (!state)
		return ERR_PTR(-ENOMEM);

	memcpy(state->config_space, ser->config, sizeof(ser->config));
	to = state->cap;
	for (pos = sizeof(*ser); pos < len; pos += sizeof(*cap) + cap->size) {
		cap = buf + pos;
		to->cap_nr = cap->nr;
		to->cap_extended = cap->extended;
		to->size = cap->size;
		memcpy(to->data, cap->data, cap->size);
		to = (void *)to + sizeof(*to) + to->size;
	}

	return state;
}
