// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the host state: every event in every state, on instances of
 * the state machine of their own.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "luo_host.h"

#define NORMAL		LIVEUPDATE_STATE_NORMAL
#define PREPARED	LIVEUPDATE_STATE_PREPARED
#define UPDATED		LIVEUPDATE_STATE_UPDATED

enum event { PREPARE, CANCEL, FREEZE, DRY_RUN, FINISH };

struct transition {
	enum liveupdate_state from;
	enum event event;
	bool fails;		/* the subsystem refuses */
	int err;
	enum liveupdate_state to;
	int handover;		/* state in the handover page afterwards */
};

static const struct transition transitions[] = {
	{ NORMAL,   PREPARE, false, 0,      PREPARED, LUO_HOST_SER_NONE },
	{ NORMAL,   PREPARE, true,  -EIO,   NORMAL,   LUO_HOST_SER_NONE },
	{ NORMAL,   CANCEL,  false, -EBUSY, NORMAL,   LUO_HOST_SER_NONE },
	{ NORMAL,   DRY_RUN, false, -EBUSY, NORMAL,   LUO_HOST_SER_NONE },
	{ NORMAL,   FINISH,  false, -EBUSY, NORMAL,   LUO_HOST_SER_NONE },
	{ PREPARED, PREPARE, false, -EBUSY, PREPARED, LUO_HOST_SER_NONE },
	{ PREPARED, CANCEL,  false, 0,      NORMAL,   LUO_HOST_SER_NONE },
	{ PREPARED, FREEZE,  false, 0,      PREPARED, LUO_HOST_SER_FROZEN },
	{ PREPARED, FREEZE,  true,  -EIO,   NORMAL,   LUO_HOST_SER_NONE },
	{ PREPARED, DRY_RUN, false, 0,      NORMAL,   LUO_HOST_SER_NONE },
	{ PREPARED, DRY_RUN, true,  -EIO,   NORMAL,   LUO_HOST_SER_NONE },
	{ PREPARED, FINISH,  false, -EBUSY, PREPARED, LUO_HOST_SER_NONE },
	{ UPDATED,  PREPARE, false, -EBUSY, UPDATED,  LUO_HOST_SER_NONE },
	{ UPDATED,  CANCEL,  false, -EBUSY, UPDATED,  LUO_HOST_SER_NONE },
	{ UPDATED,  DRY_RUN, false, -EBUSY, UPDATED,  LUO_HOST_SER_NONE },
	{ UPDATED,  FINISH,  false, 0,      NORMAL,   LUO_HOST_SER_NONE },
};

struct host_test {
	struct luo_host host;
	struct liveupdate_subsystem sub;
	bool fails;
	int calls;
};

static struct host_test *current_test;

static int refuse(struct liveupdate_subsystem *sub)
{
	current_test->calls++;
	return current_test->fails ? -EIO : 0;
}

static void count(struct liveupdate_subsystem *sub)
{
	current_test->calls++;
}

static const struct liveupdate_subsystem_ops sub_ops = {
	.prepare = refuse,
	.reboot = refuse,
	.cancel = count,
	.finish = count,
};

static int freeze(struct luo_host *host)
{
	int err;

	down_write(&host->rwsem);
	err = luo_host_freeze(host);
	up_write(&host->rwsem);

	return err;
}

static int (* const events[])(struct luo_host *host) = {
	[PREPARE] = luo_host_prepare,
	[CANCEL]  = luo_host_cancel,
	[FREEZE]  = freeze,
	[DRY_RUN] = luo_host_dry_run,
	[FINISH]  = luo_host_finish,
};

static void reach(struct kunit *test, enum liveupdate_state state)
{
	struct host_test *t = test->priv;

	luo_host_init(&t->host, t->host.out);
	t->sub = (struct liveupdate_subsystem) { .name = "s", .ops = &sub_ops };
	t->fails = false;
	KUNIT_ASSERT_EQ(test, luo_subsys_add(&t->host.subsystems, &t->sub), 0);
	if (state == PREPARED)
		KUNIT_ASSERT_EQ(test, luo_host_prepare(&t->host), 0);
	if (state == UPDATED)
		t->host.state = UPDATED;
}

static void every_event_in_every_state(struct kunit *test)
{
	struct host_test *t = test->priv;
	int i, err;

	for (i = 0; i < ARRAY_SIZE(transitions); i++) {
		const struct transition *tr = &transitions[i];

		reach(test, tr->from);
		t->fails = tr->fails;
		err = events[tr->event](&t->host);
		KUNIT_EXPECT_EQ_MSG(test, err, tr->err, "row %d", i);
		KUNIT_EXPECT_EQ_MSG(test, t->host.state, tr->to, "row %d", i);
		KUNIT_EXPECT_EQ_MSG(test, t->host.out->state, tr->handover,
				    "row %d", i);
		KUNIT_EXPECT_EQ_MSG(test, luo_handover_verify(t->host.out), 0,
				    "row %d", i);
		t->fails = false;
		luo_host_cancel(&t->host);
	}
}

static void wrong_state_calls_nobody(struct kunit *test)
{
	struct host_test *t = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(transitions); i++) {
		if (transitions[i].err != -EBUSY)
			continue;
		reach(test, transitions[i].from);
		t->calls = 0;
		events[transitions[i].event](&t->host);
		KUNIT_EXPECT_EQ_MSG(test, t->calls, 0, "row %d", i);
		luo_host_cancel(&t->host);
	}
}

static void failed_update_can_be_tried_again(struct kunit *test)
{
	struct host_test *t = test->priv;

	reach(test, PREPARED);
	t->fails = true;
	KUNIT_EXPECT_EQ(test, freeze(&t->host), -EIO);
	t->fails = false;
	KUNIT_EXPECT_EQ(test, luo_host_prepare(&t->host), 0);
	KUNIT_EXPECT_EQ(test, freeze(&t->host), 0);
	KUNIT_EXPECT_EQ(test, luo_host_cancel(&t->host), 0);
	KUNIT_EXPECT_EQ(test, t->host.out->state, LUO_HOST_SER_NONE);
}

static int luo_host_test_init(struct kunit *test)
{
	struct host_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->host.out = kunit_kzalloc(test, sizeof(*t->host.out), GFP_KERNEL);
	if (!t->host.out)
		return -ENOMEM;
	test->priv = t;
	current_test = t;

	return 0;
}

static struct kunit_case luo_host_cases[] = {
	KUNIT_CASE(every_event_in_every_state),
	KUNIT_CASE(wrong_state_calls_nobody),
	KUNIT_CASE(failed_update_can_be_tried_again),
	{}
};

static struct kunit_suite luo_host_suite = {
	.name = "luo_host",
	.init = luo_host_test_init,
	.test_cases = luo_host_cases,
};

kunit_test_suite(luo_host_suite);
