//! The stores of all gateways: opened by the gateways' controller, used by the policies' one.
//!
//! Invariant: one pool for each gateway, of the access that was given last.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::broadcast;

use super::{DatabaseAccess, GatewayStore, StoreError};

/// Which gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayName {
    pub namespace: String,
    pub name: String,
}

/// News that may wait to be heard; whoever is slower looks at every gateway.
const NEWS: usize = 1024;

pub struct Stores {
    open: RwLock<HashMap<GatewayName, Arc<GatewayStore>>>,
    examined: RwLock<HashSet<GatewayName>>,
    news: broadcast::Sender<GatewayName>,
}

impl Default for Stores {
    fn default() -> Self {
        Self { open: RwLock::default(), examined: RwLock::default(), news: broadcast::Sender::new(NEWS) }
    }
}

impl Stores {
    /// The store of this access: the one that is open already, or another in its place.
    pub fn open(&self, gateway: &GatewayName, access: DatabaseAccess) -> Result<Arc<GatewayStore>, StoreError> {
        if let Some(store) = self.get(gateway).filter(|store| *store.access() == access) {
            return Ok(store);
        }
        let store = Arc::new(GatewayStore::connect(access)?);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(gateway.clone(), store.clone());
        self.tell(gateway);
        Ok(store)
    }

    pub fn get(&self, gateway: &GatewayName) -> Option<Arc<GatewayStore>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(gateway).cloned()
    }

    /// The gateway was looked at: if it has no store now, its own status says why.
    pub fn examined(&self, gateway: &GatewayName) {
        if self.examined.write().unwrap_or_else(PoisonError::into_inner).insert(gateway.clone()) {
            self.tell(gateway);
        }
    }

    pub fn was_examined(&self, gateway: &GatewayName) -> bool {
        self.examined.read().unwrap_or_else(PoisonError::into_inner).contains(gateway)
    }

    /// The gateway is gone. Calls that are under way end as they would.
    pub fn close(&self, gateway: &GatewayName) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(gateway);
        self.examined.write().unwrap_or_else(PoisonError::into_inner).remove(gateway);
        self.tell(gateway);
    }

    /// Something about this gateway's store is other than it was: its tables are there now, say.
    pub fn tell(&self, gateway: &GatewayName) {
        // Nobody listens: nobody misses it.
        let _ = self.news.send(gateway.clone());
    }

    /// Which gateways to look at again.
    pub fn news(&self) -> broadcast::Receiver<GatewayName> {
        self.news.subscribe()
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(password: &str) -> DatabaseAccess {
        DatabaseAccess {
            url: "postgres://db.example.com/gateway".to_owned().into(),
            username: None,
            password: Some(password.to_owned().into()),
            schema: "claude_gateway".to_owned(),
            ca_pem: None,
        }
    }

    #[test]
    fn that_a_gateway_was_looked_at_is_news_once() {
        let stores = Stores::default();
        let gateway = GatewayName { namespace: "a".to_owned(), name: "b".to_owned() };
        let mut news = stores.news();
        assert!(!stores.was_examined(&gateway));
        (0..3).for_each(|_| stores.examined(&gateway));
        assert!(stores.was_examined(&gateway) && news.try_recv().is_ok() && news.try_recv().is_err());
        stores.close(&gateway);
        assert!(!stores.was_examined(&gateway));
    }

    #[tokio::test]
    async fn a_store_stays_while_its_access_does() {
        let stores = Stores::default();
        let gateway = GatewayName { namespace: "a".to_owned(), name: "b".to_owned() };
        let mut news = stores.news();
        let first = stores.open(&gateway, access("one")).unwrap();
        assert!(Arc::ptr_eq(&first, &stores.open(&gateway, access("one")).unwrap()));
        assert!(!Arc::ptr_eq(&first, &stores.open(&gateway, access("two")).unwrap()));
        stores.close(&gateway);
        assert!(stores.get(&gateway).is_none());
        let told = std::iter::from_fn(|| news.try_recv().ok()).count();
        assert_eq!(told, 3, "opened, opened anew, closed");
    }
}
