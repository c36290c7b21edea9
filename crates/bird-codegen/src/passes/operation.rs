//! Splits each operation into a function that builds its request and one that sends it, and removes the default HTTP
//! client.

use quote::{ToTokens, format_ident};
use serde_json::Value;
use syn::{
    Attribute, Block, Expr, ExprIf, Ident, ImplItem, ImplItemFn, ItemImpl, Local, Pat, Stmt,
    parse_quote,
};

use crate::Error;

/// Replaces the constructor `Client::new` with a constant, the URL of the contract's first server.
///
/// The HTTP client that `Client::new` creates would send the access key along when it follows a redirect, and panic if
/// TLS cannot be set up. Callers pass their own HTTP client to `Client::new_with_client`.
pub(super) fn replace_default_constructor(block: &mut ItemImpl, contract: &Value) {
    let is_new = |item: &ImplItem| matches!(item, ImplItem::Fn(item) if item.sig.ident == "new");
    let Some(index) = block.items.iter().position(is_new) else { return };
    block.items.remove(index);
    if let Some(url) = contract["servers"][0]["url"].as_str().map(|url| url.trim_end_matches('/')) {
        block.items.insert(
            index,
            parse_quote! {
                /// The URL of the first server in the contract.
                pub const DEFAULT_BASE_URL: &'static str = #url;
            },
        );
    }
}

/// Splits each operation `op` into two functions: `op_request` builds the request, and `op` sends it and decodes the
/// response.
///
/// A caller that needs more than the decoded body (the status, the headers, the bytes of a body that does
/// not decode) can build the request and send it itself.
///
/// Also removes the header `api-version`, in which progenitor sends `info.version`, because Bird's API does not define
/// it.
pub(super) fn split_operations(block: &mut ItemImpl) -> Result<(), Error> {
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(operation) if operation.sig.asyncness.is_some() => {
                block.items.extend(split_operation(operation)?.map(ImplItem::Fn));
            }
            other => block.items.push(other),
        }
    }
    Ok(())
}

fn split_operation(mut operation: ImplItemFn) -> Result<[ImplItemFn; 2], Error> {
    let name = operation.sig.ident.clone();
    let unsupported =
        |what: &str| Error::at("", format!("the generated operation `{name}` {what}"));

    let mut before = std::mem::take(&mut operation.block.stmts);
    let found =
        before.iter().enumerate().find_map(|(at, stmt)| Some((at, request_variable(stmt)?)));
    let (at, (variable, build)) = found.ok_or_else(|| unsupported("does not build a request"))?;
    let after = before.split_off(at).split_off(1);

    // The first two statements, which create the map and set `api-version`, are not needed.
    let headers: Vec<Stmt> =
        before.iter().filter(|stmt| mentions(stmt, "header_map")).skip(2).cloned().collect();
    before.retain(|stmt| !mentions(stmt, "header_map"));
    let build = without_call(build, "headers");

    let request_name = format_ident!("{name}_request");
    let mut request = operation.clone();
    request.sig.asyncness = None;
    request.sig.ident = request_name.clone();
    request.sig.output = parse_quote!(-> ::reqwest::Result<::reqwest::Request>);
    let doc = format!(
        " Builds the request of [`Client::{name}`] without the headers that [`crate::RequestContext`] adds."
    );
    request.attrs = parse_quote! {
        #[doc = #doc]
        ///
        /// # Errors
        ///
        /// Fails if the base URL is invalid or the body cannot be serialized.
    };
    request.block.stmts = before;
    if headers.is_empty() {
        request.block.stmts.push(Stmt::Expr(build, None));
    } else {
        let builder = without_call(build, "build");
        request.block.stmts.push(parse_quote!(let mut #variable = #builder;));
        let headers =
            headers.into_iter().map(|stmt| add_header(&variable, stmt)).collect::<Option<Vec<_>>>();
        let headers =
            headers.ok_or_else(|| unsupported("sets its headers in an unexpected way"))?;
        request.block.stmts.extend(headers);
        request.block.stmts.push(Stmt::Expr(parse_quote!(#variable.build()), None));
    }

    let args = operation.sig.inputs.iter().filter_map(|arg| match arg {
        syn::FnArg::Typed(arg) => Some(&arg.pat),
        syn::FnArg::Receiver(_) => None,
    });
    operation.block.stmts = vec![parse_quote! {
        let mut #variable = self.#request_name(#(#args),*)?;
    }];
    operation.block.stmts.extend(after);
    let errors: Vec<Attribute> = parse_quote! {
        ///
        /// # Errors
        ///
        /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    };
    operation.attrs.extend(errors);
    Ok([request, operation])
}

/// Turns `header_map.append(name, value.try_into()?);`, perhaps in an `if`, into a statement that adds the header to
/// the builder. The builder's `build` fails if the value is not a valid header value.
fn add_header(builder: &Ident, stmt: Stmt) -> Option<Stmt> {
    match stmt {
        Stmt::Expr(Expr::MethodCall(call), _) => match call.args.iter().collect::<Vec<_>>()[..] {
            [name, Expr::Try(value)] => {
                let value = without_call((*value.expr).clone(), "try_into");
                Some(parse_quote!(#builder = #builder.header(#name, #value);))
            }
            _ => None,
        },
        Stmt::Expr(Expr::If(optional), _) => {
            let stmts = optional.then_branch.stmts.into_iter();
            let stmts = stmts.map(|stmt| add_header(builder, stmt)).collect::<Option<_>>()?;
            let then_branch = Block { stmts, ..optional.then_branch };
            Some(Stmt::Expr(Expr::If(ExprIf { then_branch, ..optional }), None))
        }
        _ => None,
    }
}

/// Returns the variable and the value of `let mut request = ….build()?;`, without the `?`.
fn request_variable(stmt: &Stmt) -> Option<(Ident, Expr)> {
    let Stmt::Local(Local { pat: Pat::Ident(pat), init: Some(init), .. }) = stmt else {
        return None;
    };
    match &*init.expr {
        Expr::Try(build) => Some((pat.ident.clone(), (*build.expr).clone())),
        _ => None,
    }
}

fn mentions(stmt: &Stmt, name: &str) -> bool {
    stmt.to_token_stream().to_string().contains(name)
}

/// Removes the call of `method` from a method chain.
fn without_call(expr: Expr, method: &str) -> Expr {
    match expr {
        Expr::MethodCall(call) if call.method == method => *call.receiver,
        Expr::MethodCall(mut call) => {
            call.receiver = Box::new(without_call(*call.receiver, method));
            Expr::MethodCall(call)
        }
        other => other,
    }
}
