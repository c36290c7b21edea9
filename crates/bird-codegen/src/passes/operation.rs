//! The operations of the client: request and call as two functions, and no default HTTP client.

use quote::{ToTokens, format_ident};
use syn::{Attribute, Expr, ImplItem, ImplItemFn, ItemImpl, Local, Stmt, parse_quote};

use crate::Error;

/// Removes `Client::new`: the HTTP client that it builds follows redirects with the access key and panics
/// when TLS cannot be set up. `Client::new_with_client` takes an HTTP client from the caller.
pub(super) fn remove_default_constructor(block: &mut ItemImpl) {
    block.items.retain(|item| !matches!(item, ImplItem::Fn(item) if item.sig.ident == "new"));
}

/// Splits each operation `op` in two: `op_request` builds the request, and `op` sends the request and
/// decodes the response.
///
/// A caller that needs more than the decoded body (the status, the headers, the bytes of a body that does
/// not decode) sends the request itself.
///
/// The pass also removes the `api-version` header: progenitor sends `info.version` in it, and Bird's API
/// does not define the header.
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
        |what: &str| Error::Unsupported(format!("the generated operation `{name}` {what}"));

    let mut before = std::mem::take(&mut operation.block.stmts);
    let at = before
        .iter()
        .position(|stmt| local_name(stmt).is_some_and(|ident| ident == "request"))
        .ok_or_else(|| unsupported("does not build a `request`"))?;
    let after = before.split_off(at + 1);
    let Some(Stmt::Local(Local { init: Some(init), .. })) = before.pop() else {
        return Err(unsupported("does not build a `request`"));
    };
    let Expr::Try(build) = *init.expr else {
        return Err(unsupported("does not end its request with `build()?`"));
    };

    let headers = before.iter().filter(|stmt| mentions(stmt, "header_map")).count();
    if headers != 2 {
        return Err(unsupported("has header parameters, which are not supported"));
    }
    before.retain(|stmt| !mentions(stmt, "header_map"));
    let build = without_call(*build.expr, "headers");

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
        /// Fails when the base URL is not a URL or the body cannot be serialized.
    };
    request.block.stmts = before;
    request.block.stmts.push(Stmt::Expr(build, None));

    let args = operation.sig.inputs.iter().filter_map(|arg| match arg {
        syn::FnArg::Typed(arg) => Some(&arg.pat),
        syn::FnArg::Receiver(_) => None,
    });
    operation.block.stmts = vec![parse_quote! {
        let mut request = self.#request_name(#(#args),*)?;
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

/// Returns the variable that a `let` statement binds.
fn local_name(stmt: &Stmt) -> Option<&syn::Ident> {
    match stmt {
        Stmt::Local(Local { pat: syn::Pat::Ident(pat), .. }) => Some(&pat.ident),
        _ => None,
    }
}

fn mentions(stmt: &Stmt, name: &str) -> bool {
    stmt.to_token_stream().to_string().contains(name)
}

/// Removes the call of `method` from a chain of method calls.
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
