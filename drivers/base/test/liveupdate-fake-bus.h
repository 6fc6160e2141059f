/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bus whose devices stay alive over a live update, and log what happens to
 * them. For KUnit.
 */
#ifndef _BASE_TEST_LIVEUPDATE_FAKE_BUS_H
#define _BASE_TEST_LIVEUPDATE_FAKE_BUS_H

#include <kunit/test.h>
#include <linux/device.h>

#include "../base.h"
#include "../liveupdate.h"

#define FAKE_MAX_DEVS		1100
#define FAKE_MAX_SUPPLIERS	2
#define FAKE_NOBODY		(-1)

/* Drivers that a fake device can want. */
#define FAKE_KEEPER	"lufake_keeper"
#define FAKE_OTHER	"lufake_other"		/* takes part as well */
#define FAKE_FAILING	"lufake_failing"	/* reclaims, then fails to probe */
#define FAKE_STRANGER	"lufake_stranger"	/* does not */
#define FAKE_PLAIN	"lufake_plain"		/* on the bus that does not */

/**
 * struct fake_dev - A device.
 * @dev:          The device.
 * @id:           Its index in &struct fake_bus.devs.
 * @wants:        The driver that matches; NULL is none.
 * @suppliers:    What the bus says it hangs on.
 * @nr_suppliers: Entries in @suppliers.
 * @group:        Its IOMMU group, or FAKE_NOBODY.
 * @impossible:   What the bus's possible() returns.
 * @pathless:     What the bus's path() returns, or 0.
 * @stage:        Of its driver and its bus: 0 idle, 1 prepared, 2 frozen.
 */
struct fake_dev {
	struct device dev;
	int id;
	const char *wants;
	struct fake_dev *suppliers[FAKE_MAX_SUPPLIERS];
	int nr_suppliers;
	int group;
	int impossible;
	int pathless;
	int stage[2];
};

#define to_fake_dev(d) container_of(d, struct fake_dev, dev)

/* One callback: 'p'repare, 'r'eboot, 'c'ancel, 'f'inish; or 'u'nbind. */
struct fake_call {
	char event;
	char part;	/* 'd'river or 'b'us */
	int id;
};

/**
 * struct fake_bus - All that a test knows of its devices.
 * @devs:      The devices, by id; NULL when unregistered.
 * @count:     Ids given out.
 * @log:       Calls in the order in which they came.
 * @calls:     Entries in @log.
 * @questions: How often the bus was asked for anything else.
 * @wrong:     Calls that should not have come, or came without the lock.
 * @fail:      The call that fails with -EIO.
 * @at:        The call at which @surprise is called.
 * @surprise:  Optional.
 * @out:       The outgoing set; cancelled when the test ends.
 * @in:        The incoming set; finished when the test ends.
 */
struct fake_bus {
	struct fake_dev *devs[FAKE_MAX_DEVS];
	int count;
	struct fake_call log[8 * FAKE_MAX_DEVS];
	int calls;
	int questions;
	int wrong;
	struct fake_call fail;
	struct fake_call at;
	void (*surprise)(struct fake_bus *bus);
	struct dlu_set out;
	struct dlu_incoming in;
};

int fake_bus_up(struct kunit_suite *suite);
void fake_bus_down(struct kunit_suite *suite);
int fake_bus_init(struct kunit *test);
void fake_bus_exit(struct kunit *test);

struct fake_dev *fake_new(struct kunit *test, const char *wants,
			  struct fake_dev *parent);
void fake_on_plain_bus(struct fake_dev *fake);
void fake_add(struct kunit *test, struct fake_dev *fake);
struct fake_dev *fake_add_new(struct kunit *test, const char *wants,
			      struct fake_dev *parent);
void fake_remove(struct fake_bus *bus, int id);
void fake_remove_all(struct fake_bus *bus);
void fake_want(struct kunit *test, struct fake_dev *fake, const char *wants);
void fake_clear_log(struct fake_bus *bus);
void fake_expect_idle(struct kunit *test);
void fake_expect_call(struct kunit *test, int *at, char event, char part,
		      int id);
int fake_build(struct kunit *test, const int *ids, int count);
int fake_build_one(struct kunit *test, struct fake_dev *fake);

#endif /* _BASE_TEST_LIVEUPDATE_FAKE_BUS_H */
