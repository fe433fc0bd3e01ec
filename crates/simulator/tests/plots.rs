// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The pictures of the documentation are those that the present scheduler gives.

use rondo_simulator::plots::ALL;

#[test]
fn given_the_pictures_that_are_drawn_fast_then_they_are_the_committed_ones() {
    let committed = [
        (
            "alternation.svg",
            include_str!("../../../docs/plots/alternation.svg"),
        ),
        (
            "sleeper.svg",
            include_str!("../../../docs/plots/sleeper.svg"),
        ),
    ];
    for (name, svg) in committed {
        let (_, draw) = ALL.iter().find(|(of, _)| *of == name).unwrap();
        assert!(
            draw().unwrap() == svg,
            "docs/plots/{name} is another picture now: draw it anew with `rondo-simulator plot --out docs/plots`"
        );
    }
}
