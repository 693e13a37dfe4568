//! What is not ours stays as it is: the binaries alone, on a real engine, beside strangers' containers, networks, images
//! and files (issue 26; the rules are those of docs/reliability.md).
//!
//! Tries that take longer than some seconds run with `--include-ignored`, and in .ci/nightly. `JETSCALE_FOREIGN_STACK` and
//! `JETSCALE_FOREIGN_SUITE` name other binaries than those of this checkout; `JETSCALE_FOREIGN_TABLE` names the page
//! whose column (`JETSCALE_FOREIGN_COLUMN`: `before` or `now`) the outcomes are written to.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]
#![expect(clippy::disallowed_methods, reason = "the programs that are tried get what a user's shell gives them")]
#![expect(clippy::print_stderr, reason = "what a teardown leaves is told as it happens")]

mod binaries;
mod dev;
mod docker;
mod engine;
mod environment;
mod folders;
mod kill;
mod kinds;
mod leavings;
mod machine;
mod names;
mod pauses;
mod place;
mod planted;
mod process;
mod proxy;
mod reaper;
mod registries;
mod sink;
mod table;
mod trial;
mod turns;

use std::process::ExitCode;

use harness::runner_flags::RunnerFlags;

use self::table::Table;
use self::trial::{Cost, Try};

/// Tries, each named as its function, with the rule of docs/reliability.md that it is about, and what it costs.
macro_rules! tries {
    ($($module:ident::$name:ident: rule $rule:literal, $cost:ident;)+) => {
        vec![$(Try {
            name: concat!(stringify!($module), "::", stringify!($name)).to_owned(),
            table: Table::Tries,
            about: $rule.to_string(),
            cost: Cost::$cost,
            body: Box::new(|place| Box::pin($module::$name(place))),
        }),+]
    };
}

fn main() -> ExitCode {
    harness::spec::of(&jetscale::STACK);
    let mut tries = tries![
        folders::a_run_folder_keeps_what_a_stranger_put_there: rule 3, Seconds;
        folders::cleaning_a_checkout_keeps_the_runs_of_another: rule 3, Seconds;
        folders::an_uninstall_stays_within_its_own_folders: rule 3, Seconds;
        folders::a_record_that_nobody_can_read_is_no_leave_to_delete: rule 9, Seconds;
        folders::a_full_state_folder_is_no_obstacle_to_clean: rule 9, Minute;
        folders::without_root_what_the_registry_wrote_as_root_goes: rule 9, Minute;
        folders::two_state_folders_and_two_checkouts_at_once: rule 1, Minutes;
        names::containers_named_as_ours_would_be_stay: rule 1, Seconds;
        names::a_network_with_our_names_beginning_stays: rule 4, Minute;
        names::a_strangers_registry_under_our_name_is_not_used: rule 1, Minute;
        names::a_strangers_stopped_registry_under_our_name_stays: rule 1, Minute;
        names::a_strangers_registry_under_our_name_is_not_cleaned: rule 1, Minute;
        names::cleaning_with_another_state_folder_keeps_the_registry: rule 1, Minute;
        names::an_image_that_somebody_built_by_hand_stays: rule 2, Seconds;
        names::an_uninstall_keeps_an_image_that_a_stranger_named_too: rule 2, Seconds;
        engine::gone_it_is_no_leave_to_forget: rule 1, Minute;
        engine::refusing_it_is_no_leave_to_forget: rule 1, Minute;
        engine::an_error_that_reads_like_not_found_is_no_leave_to_forget: rule 1, Minute;
        engine::silent_it_is_given_up_in_time: rule 8, Minutes;
        engine::slow_it_is_waited_for: rule 1, Minute;
        engine::another_context_is_no_leave_to_forget: rule 5, Minute;
        engine::another_context_is_no_leave_to_forget_a_cluster: rule 5, Cluster;
        engine::another_address_is_no_leave_to_forget: rule 5, Minute;
        engine::another_engine_in_the_middle_is_no_leave_to_forget: rule 5, Minute;
        engine::an_uninstall_with_another_engine_keeps_the_record: rule 5, Minute;
        engine::gone_in_the_middle_of_a_run_it_may_come_back: rule 1, Minute;
        engine::the_reaper_outlives_its_errors: rule 9, Minutes;
        reaper::ends_with_what_it_watches: rule 9, Minute;
        reaper::of_an_older_build_is_replaced: rule 9, Minute;
        reaper::starts_though_its_programs_file_is_gone: rule 9, Minute;
        dev::cleaning_ends_its_tilt: rule 1, Cluster;
        dev::cleaning_with_wait_waits_for_it: rule 6, Cluster;
        environment::a_strangers_kubeconfig_is_no_concern: rule 10, Seconds;
        environment::a_strangers_revision_is_no_concern: rule 10, Seconds;
        environment::helms_variables_lead_nowhere: rule 7, Seconds;
        environment::git_dir_is_another_repository: rule 7, Minute;
        environment::a_users_git_configuration_changes_no_revision: rule 7, Minute;
        environment::a_slow_exec_plugin_is_ended: rule 8, Minute;
        environment::a_silent_credential_helper_is_ended: rule 8, Minute;
        environment::a_proxy_is_not_asked_for_the_registry: rule 11, Minute;
        environment::a_cluster_comes_up_behind_a_proxy: rule 11, Cluster;
        environment::a_rollback_goes_to_our_cluster: rule 7, Cluster;
        machine::few_open_files_are_noted_and_named: rule 12, Minute;
        machine::a_small_shared_memory_is_noted_and_named: rule 12, Minute;
        machine::no_ipv6_is_noted_and_named: rule 12, Minute;
        machine::few_watches_are_noted: rule 12, Minute;
        machine::a_proxy_that_is_away_is_named: rule 12, Minute;
        registries::a_left_over_helper_keeps_no_image_from_being_built: rule 12, Minute;
        registries::an_account_is_asked_for_where_a_token_needs_one: rule 12, Minute;
        registries::the_hub_has_one_account_under_its_three_names: rule 12, Minute;
        registries::the_hub_takes_an_image_by_its_account: rule 12, Minute;
        kinds::a_container_in_the_place_of_our_half_made_node_stays: rule 2, Minutes;
        kinds::a_cluster_with_our_names_beginning_stays: rule 1, Cluster;
        kinds::a_running_cluster_of_another_stays: rule 1, Cluster;
        kinds::a_stopped_cluster_of_another_starts_again: rule 4, Cluster;
        kinds::a_stranger_on_our_network_keeps_it: rule 4, Cluster;
        turns::an_images_scenario_beside_edited_charts_waits_for_nobody_for_ever: rule 6, Cluster;
        turns::three_runs_with_three_contents: rule 6, Cluster;
        turns::three_runs_with_three_contents_in_ten_rounds: rule 6, Cluster;
        pauses::while_the_cluster_is_made_for_5_s: rule 1, Cluster;
        pauses::while_the_cluster_is_made_for_20_s: rule 1, Cluster;
        pauses::as_the_cluster_is_there_for_5_s: rule 1, Cluster;
        pauses::as_the_cluster_is_there_for_20_s: rule 1, Cluster;
        pauses::during_the_deploy_for_5_s: rule 1, Cluster;
        pauses::during_the_deploy_for_20_s: rule 1, Cluster;
        pauses::during_a_suite_for_5_s: rule 1, Cluster;
        pauses::during_a_suite_for_20_s: rule 1, Cluster;
        pauses::as_a_second_process_provisions_for_5_s: rule 1, Cluster;
        pauses::as_a_second_process_provisions_for_20_s: rule 1, Cluster;
    ];
    tries.extend(kill::tries());
    match RunnerFlags::of_this_process() {
        Ok(flags) => trial::run(tries, &flags),
        Err(code) => code,
    }
}
