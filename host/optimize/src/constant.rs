//! What a global holds, and where a segment goes: constant expressions that name globals of other modules, which are
//! known once the modules are one.

use wasm_encoder::ConstExpr;
use wasmparser::Operator;

use crate::error::{Unknown, unknown};
use crate::links::{Links, Member, Source};
use crate::module::Kind;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    I32(i32),
    I64(i64),
}

impl Number {
    pub(crate) fn expression(self) -> ConstExpr {
        match self {
            Self::I32(value) => ConstExpr::i32_const(value),
            Self::I64(value) => ConstExpr::i64_const(value),
        }
    }
}

/// The offset that an expression is, if it is one number.
pub(crate) fn plain(expression: &wasmparser::ConstExpr<'_>) -> Result<Option<u32>, Unknown> {
    let mut operators = expression.get_operators_reader();
    let first = operators.read()?;
    Ok(match (first, operators.read()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.cast_unsigned()),
        _ => None,
    })
}

/// Whether an expression depends on a global.
pub(crate) fn depends(expression: &wasmparser::ConstExpr<'_>) -> Result<bool, Unknown> {
    for operator in expression.get_operators_reader() {
        if matches!(operator?, Operator::GlobalGet { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What an expression comes to, in the module of a member.
pub(crate) fn number(
    links: &Links<'_, '_>,
    member: &Member,
    expression: &wasmparser::ConstExpr<'_>,
) -> Result<Number, Unknown> {
    evaluate(links, member.instance, expression, 0)
}

/// A global that is made of a global that is made of a global.
const DEEPEST: usize = 100;

/// So many steps all constants of a component may take: a global that is twice another, which is twice another, takes
/// twice as many with each.
pub(crate) const MOST_STEPS: u32 = 10_000_000;

fn evaluate(
    links: &Links<'_, '_>,
    instance: usize,
    expression: &wasmparser::ConstExpr<'_>,
    depth: usize,
) -> Result<Number, Unknown> {
    use Number::{I32, I64};

    let odd = || unknown("a global begins with something that is no number");
    let mut stack = Vec::new();
    for operator in expression.get_operators_reader() {
        let operator = operator?;
        let left = links.steps_left.get().checked_sub(1);
        links.steps_left.set(left.ok_or_else(odd)?);
        let value = match operator {
            Operator::I32Const { value } => I32(value),
            Operator::I64Const { value } => I64(value),
            Operator::GlobalGet { global_index } if depth < DEEPEST => {
                global(links, instance, global_index, depth + 1)?
            }
            Operator::End => break,
            _ => {
                let (right, left) = (stack.pop(), stack.pop());
                match (operator, left, right) {
                    (Operator::I32Add, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_add(b)),
                    (Operator::I32Sub, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_sub(b)),
                    (Operator::I32Mul, Some(I32(a)), Some(I32(b))) => I32(a.wrapping_mul(b)),
                    (Operator::I64Add, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_add(b)),
                    (Operator::I64Sub, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_sub(b)),
                    (Operator::I64Mul, Some(I64(a)), Some(I64(b))) => I64(a.wrapping_mul(b)),
                    _ => return Err(odd()),
                }
            }
        };
        stack.push(value);
    }
    stack.pop().ok_or_else(odd)
}

/// What a global of an instance's module begins with.
fn global(
    links: &Links<'_, '_>,
    instance: usize,
    index: u32,
    depth: usize,
) -> Result<Number, Unknown> {
    let module = links.module_of(instance)?;
    let imported = module.imported(Kind::Global).len();
    if let Some(own) = (index as usize).checked_sub(imported) {
        let global = module.globals.get(own);
        let global = global.ok_or_else(|| unknown("an index leads nowhere"))?;
        return evaluate(links, instance, &global.init_expr, depth);
    }
    let member = links.member(instance);
    let import = module.imported(Kind::Global).nth(index as usize);
    let (Some(member), Some(import)) = (member, import) else {
        return Err(unknown("an index leads nowhere"));
    };
    match links.import(member, import)? {
        Source::Own { instance, index } => global(links, instance, index, depth),
        Source::Canon(_) => Err(unknown("a global is a function")),
    }
}
