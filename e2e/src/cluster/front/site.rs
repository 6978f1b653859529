//! What nginx serves under one name, and the file that tells it so.

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Where nginx says which configuration it serves by.
pub(super) const REVISION: &str = "127.0.0.1:10254";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) name: String,
    /// The longest path that fits answers, as nginx has it.
    pub(super) routes: Vec<Route>,
    /// Certificate and key, where they are given.
    pub(super) tls: Option<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) exact: bool,
    /// `http://10.98.1.2:8080`
    pub(super) server: String,
}

impl Site {
    pub(super) fn of_server(name: &str, server: SocketAddr) -> Self {
        let route = Route { path: "/".to_owned(), exact: false, server: format!("http://{server}") };
        Self { name: name.to_owned(), routes: vec![route], tls: None }
    }

    pub(super) fn tls_files(&self, home: &Path) -> (PathBuf, PathBuf) {
        (home.join(format!("{}.pem", self.name)), home.join(format!("{}.key", self.name)))
    }
}

/// Answers pass as they come, long ones too; what the client is and how it came is said in the usual headers.
const ALWAYS: &str = "
    access_log off;
    server_tokens off;
    server_names_hash_bucket_size 128;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
    proxy_next_upstream off;
    proxy_ssl_verify off;
    proxy_set_header Connection \"\";
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-Proto https;
";

pub(super) fn configuration(home: &Path, sites: &[Site], revision: &str) -> String {
    let home_path = home.display();
    let mut text = format!(
        "daemon off;\nerror_log stderr;\nuser root;\nworker_processes 2;\npid {home_path}/pid;\nworker_shutdown_timeout 3600s;\n\
         events {{ worker_connections 8192; }}\nhttp {{\n{ALWAYS}"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "    {kind}_temp_path {home_path}/{kind};");
    }
    let _ = writeln!(
        text,
        "    server {{\n        listen {REVISION};\n        location = /revision {{ return 200 \"{revision}\"; }}\n    }}"
    );
    // Nobody's name: as an ingress controller does, not the first site that comes along.
    let _ = writeln!(
        text,
        "    server {{\n        listen 443 ssl default_server;\n        ssl_reject_handshake on;\n    }}"
    );
    for site in sites {
        let (certificate, key) = site.tls_files(home);
        let _ = writeln!(text, "    server {{\n        listen 443 ssl http2;\n        server_name {};", site.name);
        let _ = writeln!(
            text,
            "        ssl_certificate {};\n        ssl_certificate_key {};",
            certificate.display(),
            key.display()
        );
        for route in &site.routes {
            let exact = if route.exact { "= " } else { "" };
            let _ = writeln!(text, "        location {exact}{} {{ proxy_pass {}; }}", route.path, route.server);
        }
        text.push_str("    }\n");
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_site_has_its_name_its_certificate_and_its_routes() {
        let server = SocketAddr::from(([127, 0, 0, 1], 4000));
        let mut site = Site::of_server("a.test", server);
        site.routes.push(Route { path: "/only".to_owned(), exact: true, server: "http://10.98.0.9:80".to_owned() });
        let text = configuration(Path::new("/home"), &[site, Site::of_server("b.test", server)], "7");
        assert!(text.contains("server_name a.test;\n        ssl_certificate /home/a.test.pem;"), "{text}");
        assert!(text.contains("location / { proxy_pass http://127.0.0.1:4000; }"), "{text}");
        assert!(text.contains("location = /only { proxy_pass http://10.98.0.9:80; }"), "{text}");
        assert_eq!(text.matches("server_name ").count(), 2);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
