use super::*;

/// Expected: what Flowise 3.1.4's calculator said.
#[test]
fn expressions_are_calculated_as_in_flowise() {
    for (expression, result) in [
        ("6*7", "42"),
        ("1+2*3", "7"),
        ("(1+2)*3", "9"),
        ("2^3^2", "64"),
        ("-2^2", "-4"),
        ("10/3", "3.333333333333333"),
        ("0.1+0.2", "0.3"),
        ("1/0", "Infinity"),
        ("-1/0", "-Infinity"),
        ("0/0", "NaN"),
        ("root4", "2"),
        ("sin30", "0.5"),
        ("sin(30)+1", "1.5"),
        ("sin-30", "-0.5"),
        ("2sin30", "1"),
        ("tan45", "1"),
        ("acos(1)", "0"),
        ("pi", "3.141592653589793"),
        ("2pi", "6.283185307179586"),
        ("2e", "5.43656365691809"),
        ("5!", "120"),
        ("3!!", "720"),
        ("-3!", "-6"),
        ("4!+1", "25"),
        ("5 Mod 3", "2"),
        ("3P2", "6"),
        ("5C2", "10"),
        ("log(100)", "2"),
        ("ln e", "1"),
        ("pow(2,10)", "1024"),
        ("int(2.7)", "2"),
        ("(2)(3)", "6"),
        ("2--2", "4"),
        ("2+-+3", "-1"),
        ("2*-3", "-6"),
        ("-(2+3)", "-5"),
        (".5+.5", "1"),
        ("12  *  3", "36"),
        ("10^21", "1e+21"),
        ("99999999999*99999999999", "9.9999999998e+21"),
        ("2/3*100", "66.66666666666666"),
        ("333382/1932", "172.55797101449275"),
        ("5&3", "1"),
        ("(1+2", "3"),
        ("1.005*1000", "1004.9999999999999"),
        ("100000000000000000000", "100000000000000000000"),
        ("1234567890123456789", "1234567890123456800"),
        ("0.0000001", "1e-7"),
        ("3 + 4 * 2 / ( 1 - 5 ) ^ 2", "3.5"),
        ("1-1-1", "-1"),
        ("8/4/2", "1"),
        ("root(2)*root(2)", "2"),
    ] {
        assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
    }
}

/// In these Flowise counts for ever.
#[test]
fn numbers_that_cannot_be_counted_up_to_are_factors_all_the_same() {
    for (expression, result) in [
        ("1e17P5", "1e+85"),
        ("9007199254740993P2", "8.112963841460667e+31"),
        ("1e17C3", "1.6666666666666667e+50"),
        ("1e300P2", "Infinity"),
        ("(1/0)P3", "Infinity"),
        ("2P5", "0"),
        ("5C7", "1"),
        ("5C5", "1"),
        ("5P0", "1"),
        ("0!", "1"),
        ("(0/0)P3", "NaN"),
    ] {
        assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
    }
    for expression in ["5P(1/0)", "(1/0)!", "1e17P1e17", "1e17!", "5P99999", "(1/0)C(1/0)"] {
        assert_eq!(evaluated(expression), None, "{expression}");
    }
}

#[test]
fn what_flowise_cannot_read_or_reads_wrong_is_right_here() {
    for (expression, result) in [("1e3", "1000"), ("2^-1", "0.5"), ("10^-7", "1e-7"), ("sqrt(4)", "2")] {
        assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
    }
}

#[test]
fn what_is_no_expression_has_no_result() {
    let deep = "(".repeat(400);
    let expressions = [
        "",
        "abc",
        "3+",
        "1+2)",
        "1.5.2",
        "1 2",
        "2**3",
        "50%",
        "$5",
        "1,000+1",
        "2.",
        "1..2",
        "5P",
        "0.5!",
        "99999999!",
        &deep,
    ];
    for expression in expressions {
        assert_eq!(evaluated(expression), None, "{expression}");
    }
}
