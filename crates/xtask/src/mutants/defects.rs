// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The defects that are planted, and for each the test that must notice.

use super::copy::Binary;

/// One defect.
#[derive(Debug)]
pub struct Defect {
    /// What goes wrong.
    pub name: &'static str,
    /// In which file of the crate.
    pub file: &'static str,
    /// The text that is right; there exactly once.
    pub find: &'static str,
    /// What stands there instead.
    pub replace: &'static str,
    /// Where the test is.
    pub binary: Binary,
    /// The test that must fail.
    pub test: &'static str,
}

const UNIT: Binary = Binary::Unit;
const PROOF: Binary = Binary::Integration("proof");
const STORIES: Binary = Binary::Integration("scheduler");

const ADMISSION: &str = "storms::given_any_storm_then_no_more_is_promised_than_there_is_and_what_is_refused_changes_nothing";
const BOUND: &str = "bound::given_1_2_and_4_engines_that_lend_when_units_are_declared_then_every_request_ends_within_c_over_share_plus_l";
const AWAY: &str = "contract::given_a_limited_vm_when_it_must_stay_away_then_a_timer_is_asked_for_and_brings_it_back";
const BOUND_HANGS: &str = "bound::given_a_vm_that_hangs_until_it_is_locked_out_then_the_others_are_late_by_what_it_took_and_later_not_at_all";
const CLOCK: &str =
    "symmetry::given_a_clock_that_starts_anywhere_and_wraps_then_nothing_else_changes";
const CONSERVATION: &str =
    "storms::given_any_storm_then_every_nanosecond_is_charged_once_to_its_vm_and_its_engine";
const DEBTS: &str = "storms::given_any_storm_then_what_a_vm_owes_shrinks_by_time_and_work_alone";
const ELIGIBLE: &str = "eligibility::given_virtual_time_at_a_start_tag_then_that_vm_is_due";
const FITS: &str = "contract::given_guarantees_that_do_not_fit_then_the_refusal_says_by_how_much";
const FIXED: &str = "neighbours::given_fixed_when_neighbours_do_anything_within_their_slots_then_the_vm_starts_at_the_same_nanosecond";
const HANGS: &str = "storms::given_any_storm_then_a_hang_costs_one_context_at_once_and_as_many_as_agreed_the_vm_its_freedom";
const IDLE_PAYS: &str =
    "contract::given_a_debt_when_the_engine_idles_then_it_is_paid_as_if_time_were_worked";
const LAG: &str =
    "storms::given_honest_vms_then_nobody_is_further_from_its_entitlement_than_its_bound";
const LIMITS: &str =
    "storms::given_any_storm_then_no_window_exceeds_a_limit_by_more_than_a_stretch";
const MONOTONE: &str = "storms::given_any_storm_then_virtual_time_never_goes_back";
const NO_WASTE: &str = "storms::given_any_storm_then_no_engine_stands_idle_while_a_vm_may_run";
const STATES: &str =
    "storms::given_any_storm_then_scheduler_and_world_agree_on_who_holds_waits_and_sleeps";
const SLICES: &str =
    "guarantee::given_busy_vms_with_long_slices_when_another_wakes_then_it_waits_for_no_slice";
const SLOTS: &str = "fixed::given_a_unit_that_overruns_then_its_owners_next_slots_are_left_out_and_nobody_elses_is_shorter";
const TORN_SLICES: &str =
    "shares::given_two_busy_vms_at_75_and_25_then_they_do_not_cut_each_others_slices_to_pieces";
const TURNS: &str = "best_effort::given_any_load_then_a_vm_waits_at_most_one_turn_of_each_other";
const ZERO: &str =
    "contract::given_units_of_length_zero_without_end_then_another_vm_still_gets_the_engine";

/// All of them.
pub const DEFECTS: &[Defect] = &[
    // What a unit costs.
    Defect {
        name: "charge/skipped",
        file: "src/policy/tags.rs",
        find: "self.used = self.used.saturating_add(ran.max(1));",
        replace: "",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "charge/declared-instead-of-true",
        file: "src/policy/tags.rs",
        find: "self.used = self.used.saturating_add(ran.max(1));",
        replace: "self.used = self.used.saturating_add(self.estimate.longest());",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "charge/zero-is-free",
        file: "src/policy/tags.rs",
        find: "ran.max(1)",
        replace: "ran",
        binary: STORIES,
        test: ZERO,
    },
    Defect {
        name: "charge/share-does-not-count",
        file: "src/policy/tags.rs",
        find: "self.weight.stretch(self.used, self.carried)",
        replace: "(u128::from(self.used), self.carried)",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "debt/dropped-on-sleep",
        file: "src/policy/tags.rs",
        find: "        if self.start < now {\n            self.start = now;\n            self.carried = 0;\n        }\n        if resumed",
        replace: "        self.start = now;\n        self.carried = 0;\n        if resumed",
        binary: PROOF,
        test: DEBTS,
    },
    Defect {
        name: "debt/dropped-with-a-new-share",
        file: "src/policy/tags.rs",
        find: "now.saturating_add(old.convert(self.start - now, new))",
        replace: "now",
        binary: PROOF,
        test: DEBTS,
    },
    Defect {
        name: "debt/not-converted-to-the-new-share",
        file: "src/policy/tags.rs",
        find: "now.saturating_add(old.convert(self.start - now, new))",
        replace: "self.start",
        binary: PROOF,
        test: DEBTS,
    },
    Defect {
        name: "debt/dropped-with-a-leaver",
        file: "src/policy/leavers.rs",
        find: "            wait = own.weight.convert(own.remains(clocks), weight);\n",
        replace: "            let _ = own;\n",
        binary: UNIT,
        test: "policy::leavers::tests::given_a_leaver_in_debt_when_it_comes_back_then_it_owes_the_same_work",
    },
    Defect {
        name: "debt/place-of-a-leaver-is-free-at-once",
        file: "src/policy/leavers.rs",
        find: "wait = wait.max(leaver.remains(clocks));",
        replace: "",
        binary: UNIT,
        test: "policy::leavers::tests::given_a_leaver_in_debt_when_its_place_is_needed_then_the_new_vm_starts_after_the_debt",
    },
    // What virtual time does.
    Defect {
        name: "clock/active-instead-of-reserved",
        file: "src/policy/mod.rs",
        find: "Self::Guaranteed => Box::new(Guaranteed::default()),",
        replace: "Self::Guaranteed => Box::new(Fair::default()),",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "clock/stands-while-the-engine-idles",
        file: "src/policy/guaranteed.rs",
        find: "self.served = self.served.saturating_add(u128::from(idle));",
        replace: "let _ = idle;",
        binary: STORIES,
        test: IDLE_PAYS,
    },
    Defect {
        name: "clock/no-jump",
        file: "src/policy/guaranteed.rs",
        find: "self.claims.lend(class, start);",
        replace: "",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "clock/goes-back",
        file: "src/policy/claims.rs",
        find: "self.now = self.now.max(to);",
        replace: "self.now = to;",
        binary: PROOF,
        test: MONOTONE,
    },
    Defect {
        name: "clock/wraps-late",
        file: "src/clock.rs",
        find: "now.0.wrapping_sub(*self.last.get_or_insert(now.0))",
        replace: "now.0.saturating_sub(*self.last.get_or_insert(now.0))",
        binary: PROOF,
        test: CLOCK,
    },
    Defect {
        name: "clock/stretch-rounds-down",
        file: "src/policy/virtual_time.rs",
        find: "self.stretch(work, self.0 - 1).0",
        replace: "self.stretch(work, 0).0",
        binary: UNIT,
        test: "policy::virtual_time::tests::given_every_small_work_and_remainder_when_stretched_then_nothing_is_lost_nor_gained",
    },
    Defect {
        name: "clock/remainder-dropped",
        file: "src/policy/virtual_time.rs",
        find: ".and_then(|parts| parts.checked_add(u64::from(carried)));",
        replace: ".map(|parts| { let _ = carried; parts });",
        binary: UNIT,
        test: "policy::virtual_time::tests::given_any_share_when_many_units_are_charged_then_not_one_nanosecond_is_lost",
    },
    Defect {
        name: "clock/debt-rounds-down",
        file: "src/policy/virtual_time.rs",
        find: ".div_ceil(u128::from(to.0))",
        replace: ".checked_div(u128::from(to.0)).unwrap_or(0)",
        binary: UNIT,
        test: "policy::virtual_time::tests::given_every_small_debt_when_the_share_changes_to_and_fro_then_it_is_never_smaller_and_hardly_greater",
    },
    // Who is next.
    Defect {
        name: "order/off-by-one-eligibility",
        file: "src/policy/claims.rs",
        find: "&& start <= now",
        replace: "&& start < now",
        binary: PROOF,
        test: ELIGIBLE,
    },
    Defect {
        name: "order/nobody-is-ahead",
        file: "src/policy/claims.rs",
        find: "        if start > now {\n            self.ahead",
        replace: "        if start > now.saturating_mul(4) {\n            self.ahead",
        binary: PROOF,
        test: LAG,
    },
    Defect {
        name: "order/by-start-tag",
        file: "src/policy/claims.rs",
        find: "tags.finish.saturating_sub(self.lead[tags.class()])",
        replace: "tags.start.saturating_sub(self.lead[tags.class()])",
        binary: PROOF,
        test: BOUND,
    },
    Defect {
        name: "order/a-better-claim-does-not-ask",
        file: "src/policy/claims.rs",
        find: "self.asking > 0",
        replace: "self.asking > 1_000",
        binary: STORIES,
        test: SLICES,
    },
    Defect {
        name: "order/everybody-asks",
        file: "src/policy/claims.rs",
        find: "let asks = tags.fresh && self",
        replace: "let asks = self",
        binary: STORIES,
        test: TORN_SLICES,
    },
    Defect {
        name: "order/a-class-keeps-its-clock",
        file: "src/policy/claims.rs",
        find: "for lead in &mut self.lead[..=class] {",
        replace: "for lead in &mut self.lead[..] {",
        binary: PROOF,
        test: LAG,
    },
    // How long a unit may be.
    Defect {
        name: "estimate/mean",
        file: "src/estimate.rs",
        find: "*filling = (*filling).max(ran);",
        replace: "*filling = (*filling + ran) / 2;",
        binary: UNIT,
        test: "estimate::tests::given_one_long_unit_when_32_short_ones_follow_then_it_counts_and_after_40_it_is_forgotten",
    },
    Defect {
        name: "estimate/optimistic-at-the-start",
        file: "src/estimate.rs",
        find: "Seen::Nothing { hang_timeout } => hang_timeout,",
        replace: "Seen::Nothing { .. } => 0,",
        binary: UNIT,
        test: "estimate::tests::given_nothing_is_known_then_the_estimate_is_the_longest_unit_that_lives",
    },
    Defect {
        name: "estimate/short-memory",
        file: "src/estimate.rs",
        find: "const BLOCKS: usize = 4;",
        replace: "const BLOCKS: usize = 2;",
        binary: UNIT,
        test: "estimate::tests::given_one_long_unit_when_32_short_ones_follow_then_it_counts_and_after_40_it_is_forgotten",
    },
    Defect {
        name: "estimate/announcement-ignored",
        file: "src/estimate.rs",
        find: "self.declared.min(self.bound)",
        replace: "self.declared",
        binary: UNIT,
        test: "estimate::tests::given_a_declared_unit_when_a_bound_is_told_then_the_smaller_counts",
    },
    // Limits.
    Defect {
        name: "limit/from-the-end-of-the-stretch-before",
        file: "src/pace.rs",
        find: "self.earliest.max(self.began).saturating_add(apart)",
        replace: "self.earliest.saturating_add(apart)",
        binary: PROOF,
        test: LIMITS,
    },
    Defect {
        name: "limit/half-of-a-stretch-counts",
        file: "src/pace.rs",
        find: "self.used = self.used.saturating_add(ran);",
        replace: "self.used = self.used.max(ran);",
        binary: PROOF,
        test: LIMITS,
    },
    Defect {
        name: "limit/one-nanosecond-early",
        file: "src/pace.rs",
        find: "self.earliest.max(self.began).saturating_add(apart)",
        replace: "self.earliest.max(self.began).saturating_add(apart.saturating_sub(1))",
        binary: STORIES,
        test: AWAY,
    },
    // The other policies.
    Defect {
        name: "fair/sleepers-debt-melts",
        file: "src/policy/fair.rs",
        find: "self.paying.insert(start, turn, slot);\n            self.active = self.active.saturating_add(parts);",
        replace: "let _ = (start, turn, parts);",
        binary: PROOF,
        test: DEBTS,
    },
    Defect {
        name: "fixed/overrun-forgiven",
        file: "src/policy/fixed.rs",
        find: "self.owe(slot, took - within);",
        replace: "",
        binary: STORIES,
        test: SLOTS,
    },
    Defect {
        name: "fixed/starts-what-does-not-fit",
        file: "src/policy/fixed.rs",
        find: "(unit <= end - time || unit > self.length)",
        replace: "(unit <= end - time || unit > 0)",
        binary: PROOF,
        test: FIXED,
    },
    Defect {
        name: "fixed/slots-of-others-are-lent",
        file: "src/policy/fixed.rs",
        find: "            None => place.opening(self.time),\n        };",
        replace: "            None => self.time + 1,\n        };",
        binary: PROOF,
        test: FIXED,
    },
    Defect {
        name: "best-effort/last-comes-first",
        file: "src/policy/best_effort.rs",
        find: "self.queue.insert(rank, self.turn, slot);",
        replace: "self.queue.insert(rank, u64::MAX - self.turn, slot);",
        binary: STORIES,
        test: TURNS,
    },
    // The mechanism.
    Defect {
        name: "books/engine-not-charged",
        file: "src/running.rs",
        find: "engine.busy = Nanos(engine.busy.0.saturating_add(ran.0));",
        replace: "",
        binary: PROOF,
        test: CONSERVATION,
    },
    Defect {
        name: "books/wake-up-lost",
        file: "src/running.rs",
        find: "let more = std::mem::take(&mut vm.woken) || more;",
        replace: "vm.woken = false;",
        binary: PROOF,
        test: STATES,
    },
    Defect {
        name: "hang/stall-forgiven",
        file: "src/running.rs",
        find: "Tenure::Own(seat) => engine.discipline.charge(*seat, ran),",
        replace: "Tenure::Own(seat) => engine.discipline.charge(*seat, if holder.hung { Nanos(0) } else { ran }),",
        binary: PROOF,
        test: BOUND_HANGS,
    },
    Defect {
        name: "hang/never-noticed",
        file: "src/scheduler.rs",
        find: "if self.watch_at.is_none_or(|at| at > now) {",
        replace: "if now > 0 || self.watch_at.is_none_or(|at| at > now) {",
        binary: PROOF,
        test: HANGS,
    },
    Defect {
        name: "quarantine/window-forgotten",
        file: "src/watch.rs",
        find: "if now.saturating_sub(recent.at[n]) < rule.within.0 {",
        replace: "if now.saturating_sub(recent.at[n]) < u64::MAX {",
        binary: PROOF,
        test: HANGS,
    },
    Defect {
        name: "quarantine/one-too-late",
        file: "src/watch.rs",
        find: "recent.count >= most",
        replace: "recent.count > most",
        binary: PROOF,
        test: HANGS,
    },
    Defect {
        name: "policy/switch-drops-debt",
        file: "src/scheduler.rs",
        find: "new.join(seat, who, &profile, engine.discipline.standing(seat));",
        replace: "new.join(seat, who, &profile, crate::policy::Standing::default());",
        binary: PROOF,
        test: DEBTS,
    },
    Defect {
        name: "admission/off-by-one",
        file: "src/residence.rs",
        find: "if asked <= most {",
        replace: "if asked <= most + 1 {",
        binary: STORIES,
        test: FITS,
    },
    Defect {
        name: "admission/own-part-counts-twice",
        file: "src/residence.rs",
        find: "found.free(whole).saturating_add(own)",
        replace: "found.free(whole).saturating_add(2 * own)",
        binary: PROOF,
        test: ADMISSION,
    },
    Defect {
        name: "loan/none",
        file: "src/running.rs",
        find: "self.grant(id, slot, Tenure::Loan { used: 0 }, now, actions);",
        replace: "let _ = slot;",
        binary: PROOF,
        test: NO_WASTE,
    },
];
