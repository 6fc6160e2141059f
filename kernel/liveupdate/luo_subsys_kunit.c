// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the order in which subsystems are called and rolled back.
 *
 * Each test subsystem logs its calls; the log is compared with what the
 * priorities and the order of registration ask for. Random sets come from a
 * fixed seed, which a failing assertion prints with the round.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "luo_host.h"

#define MEMBERS		8
#define ROUNDS		200
#define SEED		20260101
#define NOBODY		(-1)

struct call {
	char event;	/* 'p'repare, 'r'eboot, 'c'ancel, 'f'inish */
	int member;
};

struct member {
	struct liveupdate_subsystem sub;
	char name[8];
	int index;
};

struct order_test {
	struct list_head list;
	struct member members[MEMBERS];
	int order[MEMBERS];	/* members in the order of PREPARE */
	int fail_prepare;
	int fail_reboot;
	struct call log[8 * MEMBERS];
	int calls;
};

/* Callbacks know their subsystem only; a test runs at a time. */
static struct order_test *current_test;

static int member_call(struct liveupdate_subsystem *sub, char event, int fails)
{
	struct member *member = container_of(sub, struct member, sub);
	struct order_test *t = current_test;

	t->log[t->calls].event = event;
	t->log[t->calls++].member = member->index;

	return member->index == fails ? -EIO : 0;
}

static int member_prepare(struct liveupdate_subsystem *sub)
{
	return member_call(sub, 'p', current_test->fail_prepare);
}

static int member_reboot(struct liveupdate_subsystem *sub)
{
	return member_call(sub, 'r', current_test->fail_reboot);
}

static void member_cancel(struct liveupdate_subsystem *sub)
{
	member_call(sub, 'c', NOBODY);
}

static void member_finish(struct liveupdate_subsystem *sub)
{
	member_call(sub, 'f', NOBODY);
}

static const struct liveupdate_subsystem_ops member_ops = {
	.prepare = member_prepare,
	.reboot = member_reboot,
	.cancel = member_cancel,
	.finish = member_finish,
};

/* The order that the documentation promises, found without luo_subsys_add(). */
static void expected_order(struct order_test *t)
{
	int prio, i, n = 0;

	for (prio = 0; prio <= LIVEUPDATE_PRIO_AFTER_DEVICES; prio++) {
		for (i = 0; i < MEMBERS; i++) {
			if (t->members[i].sub.prio == prio)
				t->order[n++] = i;
		}
	}
}

static void order_setup(struct kunit *test, struct rnd_state *rnd)
{
	struct order_test *t = test->priv;
	int i;

	memset(t, 0, sizeof(*t));
	INIT_LIST_HEAD(&t->list);
	t->fail_prepare = NOBODY;
	t->fail_reboot = NOBODY;
	current_test = t;
	for (i = 0; i < MEMBERS; i++) {
		struct member *m = &t->members[i];

		m->index = i;
		snprintf(m->name, sizeof(m->name), "m%d", i);
		m->sub.name = m->name;
		m->sub.ops = &member_ops;
		m->sub.prio = prandom_u32_state(rnd) %
			      (LIVEUPDATE_PRIO_AFTER_DEVICES + 1);
		KUNIT_ASSERT_EQ(test, luo_subsys_add(&t->list, &m->sub), 0);
	}
	expected_order(t);
}

/* The next calls must be @event for order[from], ..., order[to]. */
static void expect_calls(struct kunit *test, int *at, char event, int from,
			 int to)
{
	struct order_test *t = test->priv;
	int step = from <= to ? 1 : -1;
	int i;

	for (i = from; i != to + step; i += step, (*at)++) {
		KUNIT_ASSERT_LT(test, *at, t->calls);
		KUNIT_ASSERT_EQ(test, t->log[*at].event, event);
		KUNIT_ASSERT_EQ(test, t->log[*at].member, t->order[i]);
	}
}

static void expect_all_idle(struct kunit *test)
{
	struct order_test *t = test->priv;
	int i;

	for (i = 0; i < MEMBERS; i++) {
		KUNIT_ASSERT_FALSE(test, t->members[i].sub.prepared);
		KUNIT_ASSERT_FALSE(test, t->members[i].sub.frozen);
	}
}

static void events_run_in_priority_order(struct kunit *test)
{
	struct order_test *t = test->priv;
	struct rnd_state rnd;
	int round, at;

	prandom_seed_state(&rnd, SEED);
	for (round = 0; round < ROUNDS; round++) {
		order_setup(test, &rnd);
		KUNIT_ASSERT_EQ(test, luo_subsys_prepare(&t->list), 0);
		KUNIT_ASSERT_EQ(test, luo_subsys_reboot(&t->list), 0);
		luo_subsys_cancel(&t->list);
		luo_subsys_finish(&t->list);

		at = 0;
		expect_calls(test, &at, 'p', 0, MEMBERS - 1);
		expect_calls(test, &at, 'r', 0, MEMBERS - 1);
		expect_calls(test, &at, 'c', MEMBERS - 1, 0);
		expect_calls(test, &at, 'f', MEMBERS - 1, 0);
		KUNIT_ASSERT_EQ(test, at, t->calls);
		expect_all_idle(test);
	}
}

static void failed_prepare_cancels_those_before_in_reverse(struct kunit *test)
{
	struct order_test *t = test->priv;
	struct rnd_state rnd;
	int round, at, k;

	prandom_seed_state(&rnd, SEED + 1);
	for (round = 0; round < ROUNDS; round++) {
		order_setup(test, &rnd);
		k = prandom_u32_state(&rnd) % MEMBERS;
		t->fail_prepare = t->order[k];
		KUNIT_ASSERT_EQ(test, luo_subsys_prepare(&t->list), -EIO);

		at = 0;
		expect_calls(test, &at, 'p', 0, k);
		if (k)
			expect_calls(test, &at, 'c', k - 1, 0);
		KUNIT_ASSERT_EQ(test, at, t->calls);
		expect_all_idle(test);
	}
}

static void failed_reboot_cancels_everybody_in_reverse(struct kunit *test)
{
	struct order_test *t = test->priv;
	struct rnd_state rnd;
	int round, at, k;

	prandom_seed_state(&rnd, SEED + 2);
	for (round = 0; round < ROUNDS; round++) {
		order_setup(test, &rnd);
		k = prandom_u32_state(&rnd) % MEMBERS;
		t->fail_reboot = t->order[k];
		KUNIT_ASSERT_EQ(test, luo_subsys_prepare(&t->list), 0);
		KUNIT_ASSERT_EQ(test, luo_subsys_reboot(&t->list), -EIO);
		luo_subsys_cancel(&t->list);

		at = 0;
		expect_calls(test, &at, 'p', 0, MEMBERS - 1);
		expect_calls(test, &at, 'r', 0, k);
		expect_calls(test, &at, 'c', MEMBERS - 1, 0);
		KUNIT_ASSERT_EQ(test, at, t->calls);
		expect_all_idle(test);
	}
}

static void retry_after_failure_succeeds(struct kunit *test)
{
	struct order_test *t = test->priv;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, SEED + 3);
	order_setup(test, &rnd);
	t->fail_reboot = t->order[MEMBERS - 1];
	KUNIT_ASSERT_EQ(test, luo_subsys_prepare(&t->list), 0);
	KUNIT_ASSERT_EQ(test, luo_subsys_reboot(&t->list), -EIO);
	luo_subsys_cancel(&t->list);

	t->fail_reboot = NOBODY;
	KUNIT_EXPECT_EQ(test, luo_subsys_prepare(&t->list), 0);
	KUNIT_EXPECT_EQ(test, luo_subsys_reboot(&t->list), 0);
	luo_subsys_cancel(&t->list);
}

static void bad_subsystems_are_refused(struct kunit *test)
{
	struct liveupdate_subsystem sub = { .ops = &member_ops };
	struct liveupdate_subsystem twin = { .ops = &member_ops, .name = "a" };
	static const char overlong[] =
		"0123456789012345678901234567890123456789012345678901234567890";
	LIST_HEAD(list);

	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), -EINVAL);
	sub.name = "";
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), -EINVAL);
	sub.name = overlong;
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), -EINVAL);
	sub.name = "a";
	sub.compatible = overlong;
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), -EINVAL);
	sub.compatible = NULL;
	sub.ops = NULL;
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), -EINVAL);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));

	sub.ops = &member_ops;
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &sub), 0);
	KUNIT_EXPECT_EQ(test, luo_subsys_add(&list, &twin), -EEXIST);
}

static int luo_subsys_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct order_test), GFP_KERNEL);

	return test->priv ? 0 : -ENOMEM;
}

static struct kunit_case luo_subsys_cases[] = {
	KUNIT_CASE(events_run_in_priority_order),
	KUNIT_CASE(failed_prepare_cancels_those_before_in_reverse),
	KUNIT_CASE(failed_reboot_cancels_everybody_in_reverse),
	KUNIT_CASE(retry_after_failure_succeeds),
	KUNIT_CASE(bad_subsystems_are_refused),
	{}
};

static struct kunit_suite luo_subsys_suite = {
	.name = "luo_subsys",
	.init = luo_subsys_test_init,
	.test_cases = luo_subsys_cases,
};

kunit_test_suite(luo_subsys_suite);
