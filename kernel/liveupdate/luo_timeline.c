// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update timeline
 *
 * Where the time of an update goes: stamps of the CPU's time stamp counter,
 * which kexec does not reset, made by both kernels, by luod and by the VMMs.
 *
 * Lifecycle: "begin" (or the first PREPARE after an update) empties the page
 * that will be handed over and makes it current. The incoming kernel copies
 * it, frees the page and goes on stamping the copy until the next "begin". So
 * the file shows the update under way, else the last one.
 *
 * Unhappy paths: a full page refuses further stamps (-ENOSPC) and nothing else
 * is hurt. A page that does not verify is dropped with a message. Nothing
 * depends on a stamp.
 *
 * Locking: luo_timeline_lock is a leaf, taken with interrupts off.
 */

#define pr_fmt(fmt) "liveupdate: " fmt

#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kstrtox.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timex.h>
#ifdef CONFIG_X86
#include <asm/tsc.h>
#endif

#include <trace/events/liveupdate.h>

#include "luo_host.h"

static_assert(sizeof(struct luo_timeline_ser) <= PAGE_SIZE);
static_assert(sizeof(struct luo_host_ser) <= PAGE_SIZE);

static DEFINE_RAW_SPINLOCK(luo_timeline_lock);
/* A copy of what the outgoing kernel handed to this one. */
static struct luo_timeline_ser luo_timeline_in;
/* What this kernel will hand over, preserved by KHO. */
static struct luo_timeline_ser *luo_timeline_out;
/* The one that stamps go to: either of the two, or NULL before both. */
static struct luo_timeline_ser *luo_timeline;
static cycles_t luo_timeline_boot_tsc;

static u32 luo_timeline_khz(void)
{
#ifdef CONFIG_X86
	return tsc_khz;
#else
	return 0;
#endif
}

/**
 * luo_timeline_boot - Remember when this kernel started.
 *
 * Context: Early parameters: nothing but the CPU works yet.
 */
void luo_timeline_boot(void)
{
	luo_timeline_boot_tsc = get_cycles();
}

static bool luo_stamp_name_ok(const char *name)
{
	size_t len = strnlen(name, LUO_STAMP_NAME_LEN);
	size_t i;

	if (!len || len == LUO_STAMP_NAME_LEN)
		return false;
	for (i = 0; i < len; i++) {
		if (!isascii(name[i]) || !isgraph(name[i]))
			return false;
	}

	return true;
}

static int luo_timeline_stamp_at(const char *name, u64 tsc)
{
	struct luo_stamp_ser *stamp;

	if (!luo_stamp_name_ok(name))
		return -EINVAL;

	guard(raw_spinlock_irqsave)(&luo_timeline_lock);
	if (!luo_timeline)
		return -EOPNOTSUPP;
	if (luo_timeline->count == LUO_TIMELINE_MAX_STAMPS)
		return -ENOSPC;

	stamp = &luo_timeline->stamps[luo_timeline->count++];
	strscpy(stamp->name, name);
	stamp->tsc = tsc;
	trace_liveupdate_stamp(name, tsc);

	return 0;
}

/**
 * luo_timeline_stamp - Stamp the current moment.
 * @name: "who:what", 1 to 39 printable characters without blanks.
 *
 * Context: Any.
 * Return: 0; -EINVAL for a bad name; -ENOSPC when the page is full;
 *         -EOPNOTSUPP before the timeline exists.
 */
int luo_timeline_stamp(const char *name)
{
	return luo_timeline_stamp_at(name, get_cycles());
}

static void luo_timeline_reset(struct luo_timeline_ser *timeline)
{
	memset(timeline, 0, sizeof(*timeline));
	strscpy(timeline->compatible, LUO_TIMELINE_ABI_COMPATIBLE);
	timeline->tsc_khz = luo_timeline_khz();
}

/**
 * luo_timeline_begin - Start the timeline of a new update.
 *
 * Context: Any.
 * Return: 0, or -EOPNOTSUPP when there is no page to hand over.
 */
int luo_timeline_begin(void)
{
	guard(raw_spinlock_irqsave)(&luo_timeline_lock);
	if (!luo_timeline_out)
		return -EOPNOTSUPP;

	luo_timeline_reset(luo_timeline_out);
	luo_timeline = luo_timeline_out;

	return 0;
}

/**
 * luo_timeline_prepare - An update begins, whether or not somebody said so.
 *
 * Stamps must not go on filling the copy of the last update's timeline.
 *
 * Context: Any.
 */
void luo_timeline_prepare(void)
{
	if (READ_ONCE(luo_timeline) == &luo_timeline_in)
		luo_timeline_begin();
}

/* Keep what can be believed of the page that another kernel wrote. */
static int luo_timeline_copy(const struct luo_timeline_ser *in)
{
	u32 count = READ_ONCE(in->count);
	u32 i;

	if (strncmp(in->compatible, LUO_TIMELINE_ABI_COMPATIBLE,
		    sizeof(in->compatible)))
		return -EPROTONOSUPPORT;
	if (count > LUO_TIMELINE_MAX_STAMPS)
		return -EOVERFLOW;

	luo_timeline_reset(&luo_timeline_in);
	luo_timeline_in.tsc_khz = in->tsc_khz;
	for (i = 0; i < count; i++) {
		if (luo_stamp_name_ok(in->stamps[i].name))
			luo_timeline_in.stamps[luo_timeline_in.count++] =
				in->stamps[i];
	}

	return 0;
}

/**
 * luo_timeline_setup_incoming - Take over the timeline of the update.
 * @pa: Physical address of a &struct luo_timeline_ser in preserved memory.
 *
 * Context: Early initcall.
 */
void __init luo_timeline_setup_incoming(u64 pa)
{
	struct luo_timeline_ser *in = phys_to_virt(pa);
	int err;

	err = luo_timeline_copy(in);
	kho_restore_free(in);
	if (err) {
		pr_warn("timeline of the outgoing kernel dropped: %pe\n",
			ERR_PTR(err));
		return;
	}

	luo_timeline = &luo_timeline_in;
	luo_timeline_stamp_at("kernel:start", luo_timeline_boot_tsc);
}

/**
 * luo_timeline_setup_outgoing - Allocate the page to hand over.
 *
 * Context: Late initcall, may sleep.
 * Return: Its physical address; 0 when there is no memory for it, and then no
 *         timeline of updates from this kernel.
 */
u64 __init luo_timeline_setup_outgoing(void)
{
	struct luo_timeline_ser *out = kho_alloc_preserve(sizeof(*out));

	if (IS_ERR(out)) {
		pr_warn("no timeline: %pe\n", out);
		return 0;
	}

	guard(raw_spinlock_irqsave)(&luo_timeline_lock);
	luo_timeline_reset(out);
	luo_timeline_out = out;
	if (!luo_timeline)
		luo_timeline = out;

	return virt_to_phys(out);
}

/**
 * luo_timeline_parse - A line that userspace wrote: "NAME" or "NAME TSC".
 * @line: NUL-terminated; is taken apart.
 *
 * Context: Process context.
 * Return: 0; -EINVAL for anything else; -ENOSPC, -EOPNOTSUPP as
 *         luo_timeline_stamp() says.
 */
int luo_timeline_parse(char *line)
{
	char *name = strim(line);
	char *number = strchr(name, ' ');
	u64 tsc;

	if (!number)
		return luo_timeline_stamp(name);

	*number++ = '\0';
	if (kstrtou64(number, 10, &tsc))
		return -EINVAL;

	return luo_timeline_stamp_at(name, tsc);
}

/**
 * luo_timeline_print - The current timeline as text.
 * @buf:  Where to.
 * @size: Bytes of room; what does not fit is left out.
 *
 * Context: Process context.
 * Return: Bytes written, without the NUL.
 */
ssize_t luo_timeline_print(char *buf, size_t size)
{
	size_t len;
	u32 i;

	guard(raw_spinlock_irqsave)(&luo_timeline_lock);
	if (!luo_timeline)
		return 0;

	len = scnprintf(buf, size, "tsc_khz %u\n", luo_timeline->tsc_khz);
	for (i = 0; i < luo_timeline->count; i++) {
		len += scnprintf(buf + len, size - len, "%llu %s\n",
				 luo_timeline->stamps[i].tsc,
				 luo_timeline->stamps[i].name);
	}

	return len;
}
