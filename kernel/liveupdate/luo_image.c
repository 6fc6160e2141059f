// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Live update image notes
 *
 * Whether two kernels understand each other must be known before the jump.
 * Each kernel therefore carries ELF notes, owner "liveupdate", that name the
 * handover formats it writes (type 1), reads (2) or both (3). They are part of the
 * image's PT_NOTE segment and of /sys/kernel/notes; whoever loads an image
 * compares, and refuses unless it reads all that the running kernel writes.
 *
 * A format's owner adds its own notes by LIVEUPDATE_IMAGE_NOTE() next to the
 * code that reads and writes it.
 */

#include <linux/kho/abi/kexec_handover.h>
#include <linux/kho/abi/luo.h>
#include <linux/kho/abi/luo_host.h>
#include <linux/kho/abi/memfd.h>
#include <linux/liveupdate_image.h>

LIVEUPDATE_IMAGE_NOTE(kho, LIVEUPDATE_NOTE_BOTH, KHO_FDT_COMPATIBLE);
LIVEUPDATE_IMAGE_NOTE(luo, LIVEUPDATE_NOTE_BOTH, LUO_ABI_COMPATIBLE);
LIVEUPDATE_IMAGE_NOTE(luo_host, LIVEUPDATE_NOTE_BOTH, LUO_HOST_ABI_COMPATIBLE);
LIVEUPDATE_IMAGE_NOTE(luo_timeline, LIVEUPDATE_NOTE_BOTH,
		      LUO_TIMELINE_ABI_COMPATIBLE);
#ifdef CONFIG_LIVEUPDATE_MEMFD
LIVEUPDATE_IMAGE_NOTE(memfd, LIVEUPDATE_NOTE_BOTH, MEMFD_LUO_FH_COMPATIBLE);
#endif
